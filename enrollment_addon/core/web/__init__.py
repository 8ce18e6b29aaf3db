"""The base layer between Flask-AppBuilder and the domains: every view and API of the add-on inherits from it.

It holds, once, what the framework leaves open: request-local filters, checked actions, scope on every way
in, cross-site request protection, safe URL parameters, bounded queries, honest errors.
"""
