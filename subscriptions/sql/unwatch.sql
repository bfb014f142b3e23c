-- One user no longer wants some tickers. Unknown ones are ignored; answers how many rows went.
-- The clock is read under the lock, and plans are made once, as in watch.sql.
CREATE FUNCTION subscriptions_unwatch(p_user uuid, p_tickers bigint[])
RETURNS int
LANGUAGE plpgsql
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off AS $$
DECLARE
    v_now timestamptz;
    v_gone int;
BEGIN
    PERFORM 1 FROM accounts_user WHERE id = p_user FOR NO KEY UPDATE;
    v_now := clock_timestamp();

    UPDATE subscriptions_watchinterval AS i
       SET ended_at = least(v_now, coalesce(s.ends_at, v_now))
      FROM subscriptions_subscription AS s
     WHERE s.user_id = p_user AND s.ticker_id = ANY (p_tickers)
       AND i.user_id = p_user AND i.ticker_id = s.ticker_id AND i.ended_at IS NULL;

    DELETE FROM subscriptions_subscription AS s WHERE s.user_id = p_user AND s.ticker_id = ANY (p_tickers);
    GET DIAGNOSTICS v_gone = ROW_COUNT;
    RETURN v_gone;
END $$;
