"""What the schedule keeps in the database itself: on PostgreSQL, booking with a credit as one function.

Everybody else who books the session waits while one is booked. A function locks, checks and writes in one round
trip, and the server keeps its plans for as long as the connection lives, while drivers forget prepared statements at
every rollback (`docs/adr/0008`). Migrations carry their own frozen copy.
"""

BOOK_AT_ONCE = """
CREATE FUNCTION enrollment_book_at_once(
    _client bigint, _participant bigint, _session bigint, _lot bigint, _enrollments bigint[], _amount bigint,
    _overlap boolean, _at timestamptz, _actor integer, _details jsonb
) RETURNS TABLE (booking_id bigint, participant_id bigint, day date, enrollments bigint[]) LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    here record;
    lot record;
    who bigint := _participant;
    session_day date;
BEGIN
    SELECT s.event_type_id, s.starts_at, s.ends_at, s.capacity, club.timezone INTO here
    FROM enrollment_session AS s JOIN enrollment_club AS club ON club.id = s.club_id
    WHERE s.id = _session AND s.starts_at > _at AND s.status <> 'cancelled'
    FOR UPDATE OF s;
    IF NOT FOUND THEN RETURN; END IF;

    IF _enrollments IS NULL THEN
        SELECT p.id INTO who
        FROM enrollment_participant AS p JOIN enrollment_client AS c ON c.id = p.client_id
        WHERE p.client_id = _client AND (p.id = _participant OR (_participant IS NULL AND p.kind = 'self'))
            AND c.erased_at IS NULL AND c.merged_into_id IS NULL AND NOT c.archived;
        IF NOT FOUND OR here.capacity <= (
            SELECT count(*) FROM enrollment_booking AS b
            WHERE b.session_id = _session AND b.state IN ('booked', 'attended', 'no_show', 'waitlisted')
        ) OR EXISTS (
            SELECT FROM enrollment_booking AS b
            WHERE b.session_id = _session AND b.participant_id = who AND b.live IS TRUE
        ) OR NOT _overlap AND EXISTS (
            SELECT FROM enrollment_booking AS b JOIN enrollment_session AS there ON there.id = b.session_id
            WHERE b.participant_id = who AND b.state IN ('booked', 'attended', 'no_show')
                AND there.id <> _session AND there.status = 'scheduled'
                AND there.starts_at < here.ends_at AND there.ends_at > here.starts_at
        ) THEN RETURN; END IF;
        UPDATE enrollment_credit_balance AS b SET available = b.available - 1, reserved = b.reserved + 1
        WHERE b.client_id = _client AND b.event_type_id = here.event_type_id AND b.available > 0;
        IF NOT FOUND THEN RETURN; END IF;
    END IF;

    session_day := (here.starts_at AT TIME ZONE here.timezone)::date;
    SELECT l.id, l.enrollment_id INTO lot
    FROM enrollment_credit_lot AS l
    WHERE l.client_id = _client AND l.event_type_id = here.event_type_id AND l.available > 0 AND NOT l.held
        AND (l.expires_on IS NULL OR l.expires_on >= session_day)
        AND (_lot IS NULL OR l.id = _lot)
        AND (l.enrollment_id IS NULL OR _enrollments IS NULL OR l.enrollment_id = ANY (_enrollments))
        AND coalesce((
            SELECT bool_or(allowed.participant_id IS NOT DISTINCT FROM who)
            FROM enrollment_credit_lot_participant AS allowed WHERE allowed.lot_id = l.id
        ), true)
    ORDER BY l.priority, l.expires_on NULLS LAST, l.unit_value > 0, l.granted_at, l.id
    LIMIT 1;
    IF NOT FOUND THEN
        UPDATE enrollment_credit_balance AS b SET available = b.available + 1, reserved = b.reserved - 1
        WHERE b.client_id = _client AND b.event_type_id = here.event_type_id;
        RETURN;
    END IF;
    IF lot.enrollment_id IS NOT NULL AND _enrollments IS NULL THEN
        RETURN QUERY SELECT NULL::bigint, who, session_day, ARRAY(
            SELECT DISTINCT l.enrollment_id FROM enrollment_credit_lot AS l
            WHERE l.client_id = _client AND l.event_type_id = here.event_type_id AND l.available > 0
                AND l.enrollment_id IS NOT NULL AND NOT l.held
        );
        RETURN;
    END IF;

    UPDATE enrollment_credit_lot AS l SET available = l.available - 1, reserved = l.reserved + 1 WHERE l.id = lot.id;
    INSERT INTO enrollment_booking (
        client_id, participant_id, session_id, state, live, pays, enrollment_id, lot_id, amount, created_by_id,
        created_at, updated_at
    ) VALUES (
        _client, who, _session, 'booked', true,
        CASE WHEN lot.enrollment_id IS NULL THEN 'lot' ELSE 'enrollment' END,
        lot.enrollment_id, lot.id, _amount, _actor, _at, _at
    ) RETURNING id INTO booking_id;
    INSERT INTO enrollment_credit_entry (
        lot_id, client_id, event_type_id, kind, available_change, reserved_change, at, actor_id, booking_id, turn
    ) VALUES (lot.id, _client, here.event_type_id, 'reserve', -1, 1, _at, _actor, booking_id, 0);
    INSERT INTO enrollment_audit_event (at, actor_id, verb, record, record_id, client_id, details)
    VALUES (_at, _actor, 'book', 'booking', booking_id, _client, _details);
    participant_id := who;
    day := session_day;
    RETURN NEXT;
END $$
"""
"""Book a participant (empty: the client themself) into a session to come and pay with one credit.

One row with `booking_id`; or one without it that names `enrollments` whose credits could pay: ask whether they may,
and call again with `_participant` and those that may as `_enrollments` (session and balance are locked meanwhile, the
balance is changed already, nothing is checked twice); or no row, and nothing changed, where this is not the way: the
service says why. The order of lots is `calc.burn`'s, the states are `calc.TAKING_A_PLACE` and those who wait, because
they come first.
"""
