"""Several people at the till at once: nothing is settled or refunded twice."""

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from sqlalchemy.orm import Session, sessionmaker

from enrollment_addon.billing import service
from enrollment_addon.billing.errors import NotEnoughOnAccount, NothingOpen, RefundAbovePaid
from enrollment_addon.core import scope
from enrollment_addon.core.db import unit_of_work
from enrollment_addon.core.scope import SYSTEM
from tests.billing.conftest import Till
from tests.servers import connect

pytestmark = pytest.mark.databases("postgresql", "mariadb")
WORKERS = 8


@pytest.fixture
def at_once(database_url: str) -> Iterator[Callable[..., list[Any]]]:
    """Let eight sessions do something at the same moment; what each got or was refused with."""
    engine = connect(database_url, pool_size=WORKERS)
    factory = sessionmaker(engine, info={scope.ACTOR: SYSTEM})
    scope.install(factory)

    def run(do: Callable[[Session], Any]) -> list[Any]:
        ready, results = threading.Barrier(WORKERS), []

        def work() -> None:
            with factory() as session:
                ready.wait()
                try:
                    with unit_of_work(session):
                        results.append(do(session))
                except Exception as error:
                    results.append(error)

        threads = [threading.Thread(target=work) for _ in range(WORKERS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return results

    yield run
    engine.dispose()


def test_of_many_payments_for_the_last_open_charge_one_settles_it(
    till: Till, at_once: Callable[..., list[Any]], sound: Callable[[], bool]
) -> None:
    """The account does not exist yet: the first to come makes it, whoever that is."""
    client = till.client
    results = at_once(lambda s: service.take_payment(s, client_id=client, amount=100, method="cash", actor=SYSTEM))
    assert max(result["on_account"] for result in results) == 100 * WORKERS
    charge = till.charge(1000)
    results = at_once(lambda s: service.take_payment(s, client_id=client, amount=1000, method="cash", actor=SYSTEM))
    assert sum(len(result["settled"]) for result in results) == 1
    assert till.charges() == {charge: ("paid", 1000, 0)}
    assert till.on_account() == {"EUR": 100 * WORKERS + 1000 * (WORKERS - 1)}
    assert sound()


def test_money_is_refunded_and_used_once(
    till: Till, at_once: Callable[..., list[Any]], sound: Callable[[], bool]
) -> None:
    paid = till.pay(1000)["id"]
    results = at_once(
        lambda s: service.refund_payment(s, payment_id=paid, amount=400, reason="Twice", actor=SYSTEM).amount
    )
    assert sorted(map(str, results)) == sorted(["400", "400", *["At most 2.00 EUR can be refunded."] * (WORKERS - 2)])
    assert all(isinstance(result, int | RefundAbovePaid) for result in results)
    till.charge(200)
    client = till.client
    results = at_once(lambda s: service.settle_from_account(s, client_id=client, actor=SYSTEM))
    assert sum(isinstance(result, dict) for result in results) == 1
    assert all(isinstance(result, dict | NothingOpen | NotEnoughOnAccount) for result in results)
    assert till.on_account() == {"EUR": 0}
    assert sound()
