"""Training reports: what was worked on with whom, how well it went, and what comes next.

Records: `Skill` (what is rated, a list the studio keeps), `TrainingReport` (of one participant, about a session
or an enrollment), `SkillRating` (1 to 5). A report belongs to a client; in the portal a client sees those that
were made visible to them. A report never changes what it is about, only what it says.
"""
