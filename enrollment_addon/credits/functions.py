"""What the ledger keeps in the database itself: on PostgreSQL, reserving from a client's own lot as one function.

Like booking (`docs/adr/0008`), it is one round trip, and the server keeps its plans for as long as the connection
lives. Migrations carry their own frozen copy.
"""

RESERVE_AT_ONCE = """
CREATE FUNCTION enrollment_reserve_at_once(
    _client bigint, _event_type bigint, _booking bigint, _day date, _count integer, _participant bigint,
    _enrollment bigint, _at timestamptz, _actor integer
) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    lot record;
BEGIN
    UPDATE enrollment_credit_balance AS b SET available = b.available - _count, reserved = b.reserved + _count
    WHERE b.client_id = _client AND b.event_type_id = _event_type AND b.available >= _count;
    IF NOT FOUND THEN RETURN NULL; END IF;

    SELECT l.id, l.available INTO lot
    FROM enrollment_credit_lot AS l
    WHERE l.client_id = _client AND l.event_type_id = _event_type AND l.available > 0 AND NOT l.held
        AND (l.expires_on IS NULL OR l.expires_on >= _day)
        AND (_enrollment IS NULL OR l.enrollment_id = _enrollment)
        AND coalesce((
            SELECT bool_or(allowed.participant_id IS NOT DISTINCT FROM _participant)
            FROM enrollment_credit_lot_participant AS allowed WHERE allowed.lot_id = l.id
        ), true)
    ORDER BY l.priority, l.expires_on NULLS LAST, l.unit_value > 0, l.granted_at, l.id
    LIMIT 1;
    IF NOT FOUND OR lot.available < _count
        OR EXISTS (SELECT FROM enrollment_credit_entry AS e WHERE e.booking_id = _booking)
    THEN
        UPDATE enrollment_credit_balance AS b SET available = b.available + _count, reserved = b.reserved - _count
        WHERE b.client_id = _client AND b.event_type_id = _event_type;
        RETURN NULL;
    END IF;

    UPDATE enrollment_credit_lot AS l SET available = l.available - _count, reserved = l.reserved + _count
    WHERE l.id = lot.id;
    INSERT INTO enrollment_credit_entry (
        lot_id, client_id, event_type_id, kind, available_change, reserved_change, at, actor_id, booking_id, turn
    ) VALUES (lot.id, _client, _event_type, 'reserve', -_count, _count, _at, _actor, _booking, 0);
    RETURN lot.id;
END $$
"""
"""Reserve `_count` credits for a booking from the client's first lot in the order of `calc.burn`.

The lot's key; or nothing, and nothing is changed, where this is not the way (the balance or the first lot is too
small, the booking has a history): the service does it, or says why not.
"""
