-- Of these alerts those that a bar has exceeded after they were armed, each with its first such bar.
--
-- They are locked in the order of their ids, and with a plain lock: where an edit comes first it is waited for, and what
-- it has left is looked at (SKIP LOCKED would lose the alert for good, as the next window begins after the bar).
-- An alert that is not yet restated for a split of its ticker has no say. Nor counts the minute in which its snooze or its
-- cooldown ends: whether the level was exceeded before or after that, nobody can tell.
WITH held AS MATERIALIZED (
    SELECT alert.* FROM alerts_alert AS alert
     WHERE alert.id = ANY (%(ids)s::bigint[]) AND alert.active AND alert.phase = 1 AND alert.direction <> 0
     ORDER BY alert.id
       FOR NO KEY UPDATE
)
SELECT held.id, true, ticker.symbol, held.kind, held.threshold, held.lower, held.upper, held.window_s, held.way,
       held.stale_after_s, held.sessions, held.mode, held.rearm_band, held.cooldown_s, held.expires_at, held.snoozed_until,
       owner.time_zone, held.phase, held.version, held.priority, (extract(epoch FROM held.armed_at) * 1000000)::bigint,
       held.armed_price, coalesce((extract(epoch FROM held.last_fired_at) * 1000000)::bigint, 0), held.last_fired_day,
       held.fire_seq, (extract(epoch FROM bar.start) * 1000000)::bigint, bar.low, bar.high
  FROM held
  JOIN marketdata_ticker AS ticker ON ticker.id = held.ticker_id
  JOIN marketdata_quote AS quote ON quote.ticker_id = held.ticker_id
  JOIN accounts_user AS owner ON owner.id = held.user_id
 CROSS JOIN LATERAL (
     SELECT make_interval(secs => quote.delayed_s) AS late,
            CASE WHEN ticker.asset_class = ANY (%(elsewhere)s::text[]) OR quote.provider = ANY (%(always_open)s::text[])
                 THEN '{(,)}'::tstzmultirange ELSE %(regular)s::tstzmultirange END AS regular
     OFFSET 0) AS hours
 CROSS JOIN LATERAL (
     SELECT greatest(held.snoozed_until, held.last_fired_at + make_interval(secs => held.cooldown_s)) AS since
     OFFSET 0) AS wanted
 CROSS JOIN LATERAL (
     SELECT bar.start, bar.low, bar.high FROM marketdata_minutebar AS bar
      WHERE bar.ticker_id = held.ticker_id
        AND bar.start >= greatest(%(since)s::timestamptz - hours.late, held.armed_at)
        AND bar.start < %(until)s::timestamptz - hours.late
        AND CASE WHEN held.direction = 1 THEN bar.high > held.threshold ELSE bar.low < held.threshold END
        AND (held.sessions = 'extended' OR bar.start <@ hours.regular)
        AND (wanted.since > bar.start AND wanted.since < bar.start + interval '1 minute') IS NOT TRUE
      ORDER BY bar.start LIMIT 1) AS bar
 WHERE NOT EXISTS (
     SELECT 1 FROM marketdata_corporateaction AS split
      WHERE split.ticker_id = held.ticker_id AND split.kind = 'split'
        AND split.ex_date > held.splits_until AND split.ex_date <= coalesce(quote.replay_date, %(today)s::date))
 ORDER BY held.id
