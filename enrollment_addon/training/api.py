"""REST of training reports and skills."""

from typing import Any

from ..core.web.access import MENU
from ..core.web.api import key_of, operation
from ..core.web.records import readable, writable
from . import service
from .models import Skill, TrainingReport
from .queries import SHOWN
from .schemas import SkillInput, SkillSchema, TrainingReportChange, TrainingReportInput, TrainingReportSchema
from .views import VERB, SkillView, TrainingReportView


class SkillApi(writable(SkillSchema, SkillInput)):  # type: ignore[misc]
    resource = "skills"
    model = Skill
    class_permission_name = "EnrollmentSkill"
    verbs = SkillView.verbs
    openapi_spec_tag = "Training reports"
    filters = SkillView.filters
    orders = {"name": (Skill.name,)}


def _ratings(data: dict[str, Any]) -> dict[str, Any]:
    """The body with its ratings as the verbs take them."""
    if "ratings" not in data:
        return data
    return {**data, "ratings": {entry["skill_id"]: entry["rating"] for entry in data["ratings"]}}


class TrainingReportApi(readable(TrainingReportSchema)):  # type: ignore[misc]
    """Reports are read with their own permission and written with the verb's."""

    resource = "training_reports"
    model = TrainingReport
    class_permission_name = "EnrollmentTrainingReport"
    openapi_spec_tag = "Training reports"
    filters = TrainingReportView.filters
    orders = {"held_on": (TrainingReport.held_on,)}
    load = SHOWN

    @operation("/", "POST", summary="Write a report on a participant, about a session or an enrollment",
               permission=VERB, menu=MENU, body=TrainingReportInput, answers={201: TrainingReportSchema},
               refusals=(404, 409))
    def post(self, data: dict[str, Any]) -> Any:
        made = self.work(
            lambda: service.write_training_report(self.session, actor=self.actor, **_ratings(data))
        )
        item = self.find(str(made.id))
        return self.result(self.dump(item), 201, id=item.id)

    @operation("/<pk>", "PUT", summary="Change the named fields; author and what it is about stay", permission=VERB,
               menu=MENU, body=TrainingReportChange, answers={200: TrainingReportSchema}, refusals=(404, 409))
    def put(self, pk: str, data: dict[str, Any]) -> Any:
        self.work(
            lambda: service.update_training_report(
                self.session, id=key_of(pk), actor=self.actor, **_ratings(data)
            )
        )
        item = self.find(pk)
        return self.result(self.dump(item), id=item.id)

    @operation("/<pk>", "DELETE", summary="Delete a report", permission=VERB, menu=MENU, answers={200: None},
               refusals=(404, 409))
    def delete(self, pk: str) -> Any:
        self.work(
            lambda: service.delete_training_report(self.session, id=key_of(pk), actor=self.actor)
        )
        return self.result({})
