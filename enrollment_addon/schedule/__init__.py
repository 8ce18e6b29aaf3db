"""The schedule: class groups, sessions, bookings, waitlists and attendance."""
