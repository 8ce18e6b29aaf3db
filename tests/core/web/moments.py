"""A page with a date and time, for tests of the field over HTTP and in a browser."""

import datetime as dt
from typing import Any

from flask import Flask, request
from flask_appbuilder.baseviews import expose

from enrollment_addon.core.web import forms
from enrollment_addon.core.web.access import needs
from enrollment_addon.core.web.views import PageView, form_status

ZONE = "Europe/Berlin"


class MomentForm(forms.Form):
    moment = forms.LocalDateTime("Starts", timezone=lambda: ZONE, validators=[forms.InputRequired(forms.REQUIRED)])


class MomentView(PageView):
    """Takes a moment and answers with it in UTC; the form opens with `at`."""

    route_base = "/enrollment/moment"
    class_permission_name = "EnrollmentClient"
    default_view = "moment"

    @expose("/", methods=["GET", "POST"])
    @needs("read")
    def moment(self) -> Any:
        at = request.args.get("at")
        form = MomentForm(data={"moment": dt.datetime.fromisoformat(at)}) if at else MomentForm()
        if request.method == "POST" and form.validate():
            return {"utc": form.moment.data.isoformat()}
        page = self.render_template(
            "enrollment_addon/form.html", form=form, groups=[{"title": None, "fields": ["moment"]}], title="Moment",
            subtitle="", crumbs=[], submit_label="Save", cancel_url="/",
        )
        return page, form_status()


def register(app: Flask) -> None:
    """Add the page to a host, before its first request."""
    with app.app_context():
        app.appbuilder.add_view_no_menu(MomentView())  # type: ignore[attr-defined]
