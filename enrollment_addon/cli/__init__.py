"""`flask enrollment …`. Exit codes: 0 fine, 1 something was found, 2 wrong use or refused."""

from . import data, files, tables, work
from .common import enrollment

__all__ = ["data", "enrollment", "files", "tables", "work"]
