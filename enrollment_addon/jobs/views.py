"""The list of jobs, and the page of one with its live progress."""

from collections.abc import Sequence
from typing import Any

from flask import g, redirect, request, send_file, url_for
from flask_appbuilder.baseviews import expose
from flask_appbuilder.models.sqla.interface import SQLAInterface
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from flask_babel import ngettext

from ..core.audit import user_names
from ..core.errors import AddonError, NotFound
from ..core.fields import LARGEST_KEY
from ..core.web.access import acting_user_id, can, needs, verb
from ..core.web.filters import Filter
from ..core.web.lists import whole
from ..core.web.views import Column, RecordView, notice
from . import exports, queries, service, texts
from .labels import STATES
from .models import Job, JobState

CLOSURES = ("schedule.close", "schedule.reopen")
"""The kinds of jobs whose batches are closures, which have a page of their own."""


def _percent(job: Any) -> int:
    if job.state == JobState.done:
        return 100
    return min(100, 100 * (job.done + job.skipped + job.failed) // job.total) if job.total else 0


class JobView(RecordView):
    """Background work: one's own, or everybody's for those who see everything."""

    route_base = "/enrollment/jobs"
    datamodel = SQLAInterface(Job)
    class_permission_name = "EnrollmentJob"
    list_title = _l("Jobs")
    singular = _l("Job")
    empty_text = _l("What takes longer than a page should is done here in the background, such as adding credits to "
                    "thousands of clients.")
    columns = (
        Column("kind", _l("Job"), value=lambda j: texts.kind_label(j.kind), kind="link", phone="title"),
        Column("state", _l("State"), value=lambda j: str(dict(STATES)[j.state]), kind="badge", phone="end",
               badge=lambda j: texts.STATE_CLASSES.get(j.state, "")),
        Column("done", _l("Done"), order=(Job.done,), kind="number", phone="hide"),
        Column("total", _l("Total"), order=(Job.total,), kind="number", phone="hide"),
        Column("created_by", _l("Started by"), value=lambda j: texts.owner_text(j, g.enrollment_job_owners),
               phone="hide"),
        Column("created_at", _l("Started"), order=(Job.id,), kind="moment"),
    )
    filters = (
        Filter("kind", _l("Job"), "choice", Job.kind, tuple(texts.KINDS.items())),
        Filter("state", _l("State"), "choice", Job.state, STATES),
        Filter("mine", _l("Mine"), "flag",
               apply=lambda _op, value: queries.started_by(acting_user_id(), whether=value)),
    )
    default_order = (Job.id,)
    default_descending = True

    def prepare(self, items: Sequence[Job]) -> None:
        g.enrollment_job_owners = user_names(self.session, [item.created_by_id for item in items])

    @expose("/show/<pk>")
    @needs("read")
    def show(self, pk: str) -> Any:
        after = whole(request.args.get("after"), 0, 0, LARGEST_KEY)
        job = queries.job_view(self.session, self.find(pk).id, errors_after=after)
        url, text = result_of(job)
        shown = {
            "id": job.id, "kind_label": texts.kind_label(job.kind), "state": str(job.state),
            "state_label": dict(STATES)[job.state], "state_class": texts.STATE_CLASSES.get(job.state, ""),
            "total": job.total, "done": job.done, "skipped": job.skipped, "failed": job.failed,
            "percent": _percent(job), "rate_text": texts.rate_text(job) if job.state == JobState.running else "",
            "left_text": texts.left_text(job), "message": job.message, "started": job.started_at,
            "finished": job.finished_at, "result_url": url, "result_text": text,
            "owner": texts.owner_text(job, user_names(self.session, [job.created_by_id])),
            "errors": [{"item": texts.item_text(job.kind, e.item), "message": e.message} for e in job.errors],
            "next_url": url_for("JobView.show", pk=pk, after=job.next_errors) if job.next_errors else None,
        }
        may_run = can("run_jobs")
        return self.render_template(
            "enrollment_addon/job.html", job=shown, crumbs=self.crumbs(), api_url=url_for("JobApi.get", pk=pk),
            cancel_url=url_for("JobView.cancel", pk=pk) if may_run and job.can_cancel else None,
            retry_url=url_for("JobView.retry", pk=pk) if may_run and job.can_retry else None,
        )

    @expose("/cancel/<pk>", methods=["POST"])
    @verb("run_jobs")
    def cancel(self, pk: str) -> Any:
        return self._change(pk, service.cancel_job, _("The job stops after the part it is at."))

    @expose("/retry/<pk>", methods=["POST"])
    @verb("run_jobs")
    def retry(self, pk: str) -> Any:
        return self._change(pk, service.retry_job, _("The job goes on."))

    def _change(self, pk: str, do: Any, told: str) -> Any:
        key = self.find(pk).id
        try:
            self.work(lambda: do(self.session, job_id=key, actor=self.actor))
            notice(told)
        except AddonError as error:
            notice(error.text(), category="warning")
        return redirect(url_for("JobView.show", pk=pk))

    @expose("/file/<pk>")
    @needs("read")
    def file(self, pk: str) -> Any:
        """The file that an export prepared, for the person who asked for it."""
        job = self.find(pk)
        path = exports.finished_file(job, self.actor)
        if path is None:
            raise NotFound
        return send_file(path, as_attachment=True, download_name=job.result["name"])


def result_of(job: queries.JobView) -> tuple[str | None, str]:
    """Where the outcome of a finished job is, and what it says."""
    if job.state != JobState.done or not isinstance(job.result, dict):
        return None, ""
    if "batch_id" in job.result:
        page = "ClosureView.show" if job.kind in CLOSURES else "BatchView.show"
        return url_for(page, pk=job.result["batch_id"]), _("The batch is complete.")
    if overlaps := job.result.get("overlaps"):
        text = ngettext("The instructor or the room of %(num)s session to come is taken twice.",
                        "The instructor or the room of %(num)s sessions to come is taken twice.", overlaps)
        return url_for("SessionView.list", _flt_0_overlaps=1), text
    if "import_id" in job.result:
        return url_for("ImportView.show", pk=job.result["import_id"]), _("Every row of the file was gone through.")
    if "file" in job.result:
        if not exports.is_kept(job.result):
            return None, _("The file is no longer kept. Please export the list again.")
        return url_for("JobView.file", pk=job.id), _("The file is ready.")
    return None, ""
