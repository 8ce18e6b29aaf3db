"""REST of jobs."""

from collections.abc import Sequence
from typing import Any

from flask import g, request

from ..core.audit import user_names
from ..core.fields import LARGEST_KEY
from ..core.web.access import acting_user_id
from ..core.web.api import RecordApi, key_of, operation
from ..core.web.filters import Filter
from ..core.web.inputs import whole_number
from ..core.web.records import LIST_QUERY
from . import queries, service, texts
from .labels import STATES
from .models import Job
from .schemas import JobRowSchema, JobSchema


class JobApi(RecordApi):
    """Background jobs: how far they are."""

    resource = "jobs"
    model = Job
    schema = JobRowSchema
    class_permission_name = "EnrollmentJob"
    openapi_spec_tag = "Jobs"
    filters = (
        Filter("kind", "kind", "choice", Job.kind, tuple(texts.KINDS.items())),
        Filter("state", "state", "choice", Job.state, STATES),
        Filter("created_by_id", "created_by_id", "number", Job.created_by_id),
        Filter("mine", "mine", "flag",
               apply=lambda _op, value: queries.started_by(acting_user_id(), whether=value)),
    )
    orders = {"created_at": (Job.id,)}

    def prepare(self, items: Sequence[Job]) -> None:
        g.enrollment_job_owners = user_names(self.session, [item.created_by_id for item in items])

    def dump(self, item: Job) -> Any:
        body: dict[str, Any] = self.schema().dump(item)
        return {**body, "created_by": texts.owner_text(item, g.enrollment_job_owners)}

    def shown(self, pk: str) -> dict[str, Any]:
        after = whole_number("errors_after", request.args.get("errors_after"), 0, 0, LARGEST_KEY)
        view = queries.job_view(self.session, key_of(pk), errors_after=after)
        body: dict[str, Any] = JobSchema().dump(view)
        return {
            **body, "rate_text": texts.rate_text(view), "left_text": texts.left_text(view),
            "created_by": texts.owner_text(view, user_names(self.session, [view.created_by_id])),
        }

    @operation("/", summary="Jobs: one's own, or all for those who see everything", permission="read",
               answers={200: JobRowSchema}, many=True, query=LIST_QUERY)
    def get_list(self) -> Any:
        return self.listing()

    @operation("/<pk>", summary="One job with its progress and failed items", permission="read",
               answers={200: JobSchema},
               query=(("errors_after", "integer", "Only failed items behind this one: the `next_errors` before"),))
    def get(self, pk: str) -> Any:
        return self.result(self.shown(pk))

    @operation("/<pk>/cancel", "POST", summary="Stop a job between two chunks; what is done stays",
               permission="run_jobs", menu="Enrollment", answers={200: JobSchema}, refusals=(409,))
    def cancel(self, pk: str) -> Any:
        self.work(lambda: service.cancel_job(self.session, job_id=key_of(pk), actor=self.actor))
        return self.result(self.shown(pk))

    @operation("/<pk>/retry", "POST", summary="Do the rest, or the failed items, again", permission="run_jobs",
               menu="Enrollment", answers={200: JobSchema}, refusals=(409,))
    def retry(self, pk: str) -> Any:
        self.work(lambda: service.retry_job(self.session, job_id=key_of(pk), actor=self.actor))
        return self.result(self.shown(pk))
