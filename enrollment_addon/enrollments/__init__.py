"""Enrollments: packages sold to clients, and their life cycle."""
