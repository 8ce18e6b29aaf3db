"""REST of jobs."""

from typing import Any

from ..core.web.api import RecordApi, key_of, operation
from ..core.web.filters import Filter
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
    )
    orders = {"created_at": (Job.id,)}

    def shown(self, pk: str) -> dict[str, Any]:
        view = queries.job_view(self.session, key_of(pk))
        body: dict[str, Any] = JobSchema().dump(view)
        return {**body, "rate_text": texts.rate_text(view), "left_text": texts.left_text(view)}

    @operation("/", summary="Jobs: one's own, or all for those who see everything", permission="read",
               answers={200: JobRowSchema}, many=True, query=LIST_QUERY)
    def get_list(self) -> Any:
        return self.listing()

    @operation("/<pk>", summary="One job with its progress and failed items", permission="read",
               answers={200: JobSchema})
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
