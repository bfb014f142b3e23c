-- One connection of a user no longer streams some tickers: their rows end in 30 s, unless another connection of the
-- same user renews them before (each does every 20 s). What is on the watchlist stays. Answers how many rows.
CREATE FUNCTION subscriptions_run_out(p_user uuid, p_tickers bigint[])
RETURNS int
LANGUAGE plpgsql
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off AS $$
DECLARE
    v_rows int;
BEGIN
    PERFORM 1 FROM accounts_user WHERE id = p_user FOR NO KEY UPDATE;
    UPDATE subscriptions_subscription AS s
       SET ends_at = least(s.ends_at, clock_timestamp() + interval '30 seconds')
     WHERE s.user_id = p_user AND s.ticker_id = ANY (p_tickers) AND s.ends_at IS NOT NULL;
    GET DIAGNOSTICS v_rows = ROW_COUNT;
    RETURN v_rows;
END $$;
