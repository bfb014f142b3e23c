-- Which armed levels lie within what the bars of a stretch of time have reached? Their ids, in order; nothing is locked.
--
-- Per ticker the extremes of the whole stretch, for the regular session on its own; then one descent into each of the two
-- partial indexes. OFFSET 0 keeps the planner from making a join of it, which a custom plan would answer with a hash over
-- every alert there is. The second bound, which every threshold keeps, makes it expect the few rows of a range, not a
-- third of a ticker's alerts, which it would read through another index. The answer may hold too many, since an alert may
-- have been armed in the middle of the stretch.
WITH reach AS MATERIALIZED (
    SELECT quote.ticker_id, bars.low, bars.high, bars.regular_low, bars.regular_high
      FROM marketdata_quote AS quote
      JOIN marketdata_ticker AS ticker ON ticker.id = quote.ticker_id
     CROSS JOIN LATERAL (
         SELECT make_interval(secs => quote.delayed_s) AS late,
                CASE WHEN ticker.asset_class = ANY (%(elsewhere)s::text[]) OR quote.provider = ANY (%(always_open)s::text[])
                     THEN '{(,)}'::tstzmultirange ELSE %(regular)s::tstzmultirange END AS regular
         OFFSET 0) AS hours
     CROSS JOIN LATERAL (
         SELECT min(bar.low) AS low, max(bar.high) AS high,
                min(bar.low) FILTER (WHERE bar.start <@ hours.regular) AS regular_low,
                max(bar.high) FILTER (WHERE bar.start <@ hours.regular) AS regular_high
           FROM marketdata_minutebar AS bar
          WHERE bar.ticker_id = quote.ticker_id
            AND bar.start >= %(since)s::timestamptz - hours.late AND bar.start < %(until)s::timestamptz - hours.late
         OFFSET 0) AS bars
     WHERE NOT quote.halted AND bars.high IS NOT NULL
       AND quote.as_of >= %(since)s::timestamptz - hours.late
       AND quote.ticker_id <> ALL (%(without)s::bigint[])
       AND (%(only)s::bigint[] IS NULL OR quote.ticker_id = ANY (%(only)s::bigint[]))
)
SELECT hit.id FROM (
    SELECT up.id
      FROM reach CROSS JOIN LATERAL (
           SELECT alert.id FROM alerts_alert AS alert
            WHERE alert.ticker_id = reach.ticker_id AND alert.active AND alert.phase = 1 AND alert.direction = 1
              AND alert.threshold > 0 AND alert.threshold < reach.high
              AND (alert.sessions = 'extended' OR alert.threshold < reach.regular_high)
              AND alert.armed_at < %(until)s::timestamptz
           OFFSET 0) AS up
    UNION ALL
    SELECT down.id
      FROM reach CROSS JOIN LATERAL (
           SELECT alert.id FROM alerts_alert AS alert
            WHERE alert.ticker_id = reach.ticker_id AND alert.active AND alert.phase = 1 AND alert.direction = -1
              AND alert.threshold > reach.low AND alert.threshold < 1000000000000
              AND (alert.sessions = 'extended' OR alert.threshold > reach.regular_low)
              AND alert.armed_at < %(until)s::timestamptz
           OFFSET 0) AS down
) AS hit
 WHERE hit.id > %(after)s
 ORDER BY hit.id
 LIMIT %(most)s
