-- What a batch of ticks did to alerts: one row of `effect` each, each alert at most once.
--
-- An alert is claimed only as it was when it was decided (version, fires so far and phase): an edit that came between has won, and a
-- second commit of the same effects finds nothing. The lock is a plain one: it waits for an edit and then looks at the
-- row that the edit has left. `a.id = ANY` keeps every plan on the primary key, also a custom one for thousands.
WITH effect AS MATERIALIZED (
    SELECT * FROM unnest(
        %(id)b::bigint[], %(ord)b::int[], %(version)b::int[], %(fire_seq)b::int[], %(was)b::smallint[], %(phase)b::smallint[],
        %(fires)b::bool[], %(ends)b::bool[], %(at)b::timestamptz[], %(price)b::numeric[], %(day)b::date[],
        %(symbol)b::text[], %(title)b::text[], %(body)b::text[],
        %(rule)b::text[], %(before)b::text[], %(tick)b::text[], %(extra)b::text[],
        %(source)b::text[], %(provider)b::text[], %(session)b::text[], %(trade_id)b::text[],
        %(exchange_at)b::timestamptz[], %(armed_at)b::timestamptz[], %(armed_price)b::numeric[]
    ) AS e (
        id, ord, version, fire_seq, was, phase, fires, ends, at, price, day, symbol, title, body, rule, before, tick, extra,
        source, provider, session, trade_id, exchange_at, armed_at, armed_price
    )
), claimed AS (
    UPDATE alerts_alert AS a
       SET phase = e.phase,
           fire_seq = a.fire_seq + e.fires::int,
           active = NOT e.ends,
           edited_at = coalesce(%(edited_at)b::timestamptz, a.edited_at),
           armed_at = e.at,
           armed_price = CASE WHEN e.phase = 1 THEN e.price ELSE a.armed_price END,
           last_fired_at = CASE WHEN e.fires THEN e.at ELSE a.last_fired_at END,
           last_fired_day = coalesce(CASE WHEN e.fires THEN e.day END, a.last_fired_day)
      FROM effect AS e
     WHERE a.id = ANY (%(id)b::bigint[]) AND a.id = e.id
       AND a.version = e.version AND a.fire_seq = e.fire_seq AND a.phase = e.was AND a.active
    RETURNING a.id, a.user_id, a.fire_seq, a.version, a.priority, a.category, a.note, e.ord, e.fires
), fired AS (
    INSERT INTO alerts_trigger (
        alert_id, fire_seq, rule_version, rule, source, price, provider, session, trade_id, before, tick, extra,
        armed_at, armed_price, local_day, exchange_at, received_at, evaluated_at, committed_at, position, retraction
    )
    SELECT c.id, c.fire_seq, c.version, e.rule::jsonb, e.source, e.price, e.provider, e.session, e.trade_id,
           e.before::jsonb, e.tick::jsonb, e.extra::jsonb, e.armed_at, e.armed_price, e.day,
           e.exchange_at, e.at, %(evaluated_at)b::timestamptz, clock_timestamp(), %(position)b::text, ''
      FROM claimed AS c JOIN effect AS e ON e.ord = c.ord
     WHERE c.fires
     ORDER BY c.priority, e.ord
    ON CONFLICT DO NOTHING
    RETURNING id, alert_id
), told AS (
    INSERT INTO alerts_notification (
        user_id, trigger_id, kind, priority, category, title, body, symbol, current_price, scheduled_at, created_at
    )
    SELECT c.user_id, f.id, 'alert', c.priority, c.category, e.title,
           concat_ws(E'\n', nullif(e.body, ''), nullif(c.note, '')), e.symbol, e.price,
           clock_timestamp(), clock_timestamp()
      FROM fired AS f JOIN claimed AS c ON c.id = f.alert_id JOIN effect AS e ON e.ord = c.ord
     ORDER BY c.priority, e.ord
    RETURNING id, trigger_id, user_id, priority, category, title, body, symbol, current_price, created_at
), queued AS (
    INSERT INTO alerts_outbox (notification_id, priority, due_at)
    SELECT id, priority, created_at FROM told
)
SELECT c.id, t.id, t.trigger_id, t.user_id, t.priority, t.category, t.title, t.body, t.symbol, t.current_price,
       t.created_at
  FROM claimed AS c
  LEFT JOIN fired AS f ON f.alert_id = c.id
  LEFT JOIN told AS t ON t.trigger_id = f.id
 ORDER BY c.priority, c.ord
