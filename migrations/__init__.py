"""The history of the add-on's tables. Released revisions are never changed."""
