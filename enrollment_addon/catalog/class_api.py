"""REST of class categories, activity levels and semesters."""

from ..core.web.records import writable
from .class_schemas import (
    ActivityLevelInput,
    ActivityLevelSchema,
    ClassCategoryInput,
    ClassCategorySchema,
    SemesterInput,
    SemesterSchema,
)
from .class_views import ActivityLevelView, ClassCategoryView, SemesterView
from .languages import TranslatedApi
from .models import ActivityLevel, ClassCategory, Semester


class ClassCategoryApi(TranslatedApi, writable(ClassCategorySchema, ClassCategoryInput)):  # type: ignore[misc]
    resource = "class_categories"
    model = ClassCategory
    class_permission_name = "EnrollmentClassCategory"
    verbs = ClassCategoryView.verbs
    openapi_spec_tag = "Class groups"
    filters = ClassCategoryView.filters
    orders = {"name": (ClassCategory.name,)}


class ActivityLevelApi(TranslatedApi, writable(ActivityLevelSchema, ActivityLevelInput)):  # type: ignore[misc]
    resource = "activity_levels"
    model = ActivityLevel
    class_permission_name = "EnrollmentActivityLevel"
    verbs = ActivityLevelView.verbs
    openapi_spec_tag = "Class groups"
    filters = ActivityLevelView.filters
    orders = {"name": (ActivityLevel.name,), "rank": (ActivityLevel.rank,)}


class SemesterApi(TranslatedApi, writable(SemesterSchema, SemesterInput)):  # type: ignore[misc]
    resource = "semesters"
    model = Semester
    class_permission_name = "EnrollmentSemester"
    verbs = SemesterView.verbs
    openapi_spec_tag = "Class groups"
    orders = {"name": (Semester.name,), "first_date": (Semester.first_date,)}
