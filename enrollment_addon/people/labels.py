"""How the fixed words of this domain are called, for pages and exports."""

from flask_babel import lazy_gettext as _l

from .models import ParticipantKind, ReachChoice, Relationship

KINDS = (
    (ParticipantKind.self, _l("Self")),
    (ParticipantKind.child, _l("Child")),
    (ParticipantKind.pet, _l("Pet")),
    (ParticipantKind.other, _l("Other")),
)
RELATIONSHIPS = (
    (Relationship.head, _l("Head of household")),
    (Relationship.partner, _l("Partner")),
    (Relationship.child, _l("Child")),
    (Relationship.parent, _l("Parent")),
    (Relationship.sibling, _l("Sibling")),
    (Relationship.other, _l("Other")),
)
SCOPES = (
    (ReachChoice.own_clients, _l("Own clients")),
    (ReachChoice.own_clubs, _l("Clients of own clubs")),
    (ReachChoice.everything, _l("Everything")),
)
