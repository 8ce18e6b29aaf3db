"""REST of class categories, activity levels and semesters."""

from typing import Any

from ..core.web.records import writable
from . import service
from .class_schemas import (
    ActivityLevelInput,
    ActivityLevelSchema,
    ClassCategoryInput,
    ClassCategorySchema,
    SemesterInput,
    SemesterSchema,
)
from .class_views import ActivityLevelView, ClassCategoryView
from .languages import TranslatedApi
from .models import ActivityLevel, ClassCategory, Semester


class ClassCategoryApi(TranslatedApi, writable(ClassCategorySchema, ClassCategoryInput)):  # type: ignore[misc]
    resource = "class_categories"
    model = ClassCategory
    class_permission_name = "EnrollmentClassCategory"
    openapi_spec_tag = "Class groups"
    filters = ClassCategoryView.filters
    orders = {"name": (ClassCategory.name,)}

    def create(self, **data: Any) -> ClassCategory:
        return service.create_class_category(self.session, actor=self.actor, **data)

    def change(self, key: int, **data: Any) -> ClassCategory:
        return service.update_class_category(self.session, id=key, actor=self.actor, **data)

    def remove(self, key: int) -> None:
        service.delete_class_category(self.session, id=key, actor=self.actor)


class ActivityLevelApi(TranslatedApi, writable(ActivityLevelSchema, ActivityLevelInput)):  # type: ignore[misc]
    resource = "activity_levels"
    model = ActivityLevel
    class_permission_name = "EnrollmentActivityLevel"
    openapi_spec_tag = "Class groups"
    filters = ActivityLevelView.filters
    orders = {"name": (ActivityLevel.name,), "rank": (ActivityLevel.rank,)}

    def create(self, **data: Any) -> ActivityLevel:
        return service.create_activity_level(self.session, actor=self.actor, **data)

    def change(self, key: int, **data: Any) -> ActivityLevel:
        return service.update_activity_level(self.session, id=key, actor=self.actor, **data)

    def remove(self, key: int) -> None:
        service.delete_activity_level(self.session, id=key, actor=self.actor)


class SemesterApi(TranslatedApi, writable(SemesterSchema, SemesterInput)):  # type: ignore[misc]
    resource = "semesters"
    model = Semester
    class_permission_name = "EnrollmentSemester"
    openapi_spec_tag = "Class groups"
    orders = {"name": (Semester.name,), "first_date": (Semester.first_date,)}

    def create(self, **data: Any) -> Semester:
        return service.create_semester(self.session, actor=self.actor, **data)

    def change(self, key: int, **data: Any) -> Semester:
        return service.update_semester(self.session, id=key, actor=self.actor, **data)

    def remove(self, key: int) -> None:
        service.delete_semester(self.session, id=key, actor=self.actor)
