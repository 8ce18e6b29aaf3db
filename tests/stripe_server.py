"""A Stripe of our own on loopback: Checkout sessions, refunds, idempotency keys, and events signed as Stripe signs.

It answers what the official library asks for; what a person does at Stripe (paying, refunding at the dashboard) are
methods here.
"""

import hashlib
import hmac
import itertools
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

KEY = "sk_test_51Fake"
SECRET = "whsec_of_the_tests"
DAY = 24 * 60 * 60


class FakeStripe:
    """An account. `asked` is what it was asked for, in order; while `away` it answers nobody."""

    def __init__(self) -> None:
        self.sessions: dict[str, dict[str, Any]] = {}
        self.refunds: dict[str, dict[str, Any]] = {}
        self.asked: list[tuple[str, str, dict[str, str]]] = []
        self.away = False
        self.refuses = ""
        self._kept: dict[str, tuple[dict[str, str], int, Any]] = {}
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()
        self.url = ""

    # ---- what people do at Stripe --------------------------------------------------------------------------

    def last(self) -> dict[str, Any]:
        return list(self.sessions.values())[-1]

    def pay(self, checkout_id: str, *, at_once: bool = True, **over: Any) -> dict[str, Any]:
        """A client pays on the page; the bank may take its time."""
        session = self.sessions[checkout_id]
        assert session["status"] == "open"
        intent = f"pi_{checkout_id}"
        session.update(
            status="complete", payment_status="paid" if at_once else "unpaid", payment_intent=intent, url=None, **over
        )
        return session

    def send_back(self, payment: str, amount: int, **over: Any) -> dict[str, Any]:
        """Somebody refunds at the dashboard."""
        return self._refund({"payment_intent": payment, "amount": str(amount)}, **over)

    def event(self, kind: str, about: dict[str, Any], **over: Any) -> tuple[bytes, str]:
        """An event's body and signature header."""
        told = {
            "id": f"evt_{next(self._numbers)}", "object": "event", "type": kind, "created": int(time.time()),
            "data": {"object": about}, **over,
        }
        body = json.dumps(told).encode()
        return body, sign(body)

    def refunded(self, payment: str) -> tuple[bytes, str]:
        """The event that there are refunds of a payment."""
        return self.event("charge.refunded", {"id": f"ch_{payment}", "object": "charge", "payment_intent": payment})

    # ---- what the library asks for ---------------------------------------------------------------------------

    def answer(self, method: str, path: str, given: dict[str, str], key: str | None) -> tuple[int, Any]:
        with self._lock:
            self.asked.append((method, path, given))
            if self.refuses:
                return 400, error(self.refuses)
            if key is None or method == "GET":
                return self._do(method, path.removeprefix("/v1/").split("/"), given)
            if key in self._kept and self._kept[key][0] != given:
                return 400, error("Keys for idempotent requests …", type="idempotency_error")
            if key not in self._kept:
                self._kept[key] = (given, *self._do(method, path.removeprefix("/v1/").split("/"), given))
            return self._kept[key][1:]

    def _do(self, method: str, path: list[str], given: dict[str, str]) -> tuple[int, Any]:
        match method, path:
            case "POST", ["checkout", "sessions"]:
                return 200, self._begin(given)
            case "GET", ["checkout", "sessions", key] if key in self.sessions:
                return 200, self.sessions[key]
            case "POST", ["checkout", "sessions", key, "expire"] if key in self.sessions:
                session = self.sessions[key]
                if session["status"] != "open":
                    return 400, error("Only Checkout Sessions with a status in [\"open\"] can be expired.")
                session.update(status="expired", url=None)
                return 200, session
            case "POST", ["refunds"]:
                intent = given["payment_intent"]
                paid = sum(s["amount_total"] for s in self.sessions.values() if s["payment_intent"] == intent)
                back = sum(r["amount"] for r in self.refunds.values() if r["payment_intent"] == intent)
                if back + int(given["amount"]) > paid:
                    return 400, error("Refund amount is greater than unrefunded amount on charge.")
                return 200, self._refund(given)
            case "GET", ["refunds"]:
                rows = [r for r in self.refunds.values() if r["payment_intent"] == given["payment_intent"]]
                return 200, {"object": "list", "has_more": False, "url": "/v1/refunds", "data": rows[::-1]}
        return 404, error("No such thing")

    def _begin(self, given: dict[str, str]) -> dict[str, Any]:
        key = f"cs_test_{next(self._numbers)}"
        units = [int(value) for name, value in given.items() if name.endswith("[unit_amount]")]
        self.sessions[key] = {
            "id": key, "object": "checkout.session", "mode": given["mode"], "status": "open",
            "payment_status": "unpaid", "amount_total": sum(units),
            "currency": given["line_items[0][price_data][currency]"], "payment_intent": None,
            "client_reference_id": given["client_reference_id"],
            "metadata": {"enrollment_reference": given["metadata[enrollment_reference]"]},
            "url": f"{self.url}/pay/{key}", "expires_at": int(time.time()) + DAY,
        }
        return self.sessions[key]

    def _refund(self, given: dict[str, str], **over: Any) -> dict[str, Any]:
        key = f"re_{next(self._numbers)}"
        known = given.get("metadata[enrollment_reference]")
        currency = next(s["currency"] for s in self.sessions.values() if s["payment_intent"] == given["payment_intent"])
        self.refunds[key] = {
            "id": key, "object": "refund", "amount": int(given["amount"]), "currency": currency,
            "payment_intent": given["payment_intent"], "status": "succeeded",
            "metadata": {"enrollment_reference": known} if known else {}, **over,
        }
        return self.refunds[key]


def sign(body: bytes, secret: str = SECRET, at: float | None = None) -> str:
    """The header Stripe-Signature: https://docs.stripe.com/webhooks#verify-manually."""
    seconds = int(at or time.time())
    mac = hmac.new(secret.encode(), f"{seconds}.".encode() + body, hashlib.sha256).hexdigest()
    return f"t={seconds},v1={mac}"


def error(message: str, type: str = "invalid_request_error") -> dict[str, Any]:
    return {"error": {"type": type, "message": message}}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def _serve(self) -> None:
        stripe: FakeStripe = self.server.stripe  # type: ignore[attr-defined]
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
        if stripe.away:
            self.close_connection = True
            return
        parts = urlsplit(self.path)
        if parts.path.startswith("/pay/"):
            self._send(200, b"<!doctype html><title>Stripe</title>", "text/html")
            return
        if self.headers.get("Authorization") != f"Bearer {KEY}":
            self._send(401, json.dumps(error("Invalid API Key provided: sk_****")).encode())
            return
        given = dict(parse_qsl(body or parts.query))
        status, told = stripe.answer(self.command, parts.path, given, self.headers.get("Idempotency-Key"))
        self._send(status, json.dumps(told).encode())

    do_GET = do_POST = _serve

    def _send(self, status: int, body: bytes, kind: str = "application/json") -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_args: Any) -> None:
        """The test's output stays its own."""


@contextmanager
def serving() -> Iterator[FakeStripe]:
    stripe = FakeStripe()
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.daemon_threads = True
    server.stripe = stripe  # type: ignore[attr-defined]
    stripe.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield stripe
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def settings(stripe: FakeStripe) -> dict[str, str]:
    """The settings of a host that takes money here."""
    return {
        "ENROLLMENT_STRIPE_KEY": KEY, "ENROLLMENT_STRIPE_WEBHOOK_SECRET": SECRET, "ENROLLMENT_STRIPE_URL": stripe.url
    }
