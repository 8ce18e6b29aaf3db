"""What every domain stands on: database, errors, clock, money, row scope, audit, batches and the web base layer.

The core knows no domain. `core.web` is the only part of it that imports Flask.
"""
