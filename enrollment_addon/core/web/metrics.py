"""Prometheus metrics of the host's requests, by endpoint, status and method."""

import os
from typing import Any

from flask import Flask

from ...settings import SettingsError

PATH = "/enrollment/metrics"


def serve(app: Flask) -> None:
    """Count and time requests, and answer with the figures at `PATH`.

    Several processes on one port count together when PROMETHEUS_MULTIPROC_DIR names a folder they share.
    Raises: SettingsError when the exporter is not installed.
    """
    try:
        from prometheus_client import CollectorRegistry
        from prometheus_flask_exporter import PrometheusMetrics
        from prometheus_flask_exporter.multiprocess import MultiprocessInternalPrometheusMetrics
    except ImportError as error:
        raise SettingsError(
            "ENROLLMENT_METRICS needs an exporter, which is not installed: pip install 'enrollment-addon[metrics]'"
        ) from error
    shared = bool(os.environ.get("PROMETHEUS_MULTIPROC_DIR"))
    exporter: Any = MultiprocessInternalPrometheusMetrics if shared else PrometheusMetrics
    exporter(app, path=PATH, group_by="endpoint", registry=CollectorRegistry())
