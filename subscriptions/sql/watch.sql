-- One user wants some tickers: all of them or none. One call, one round trip, one durable commit.
--
-- The user row is locked first, so that two calls of one user follow each other; each statement of a plpgsql
-- function sees what was committed before it began, so the count below is true (within one plain statement it
-- would be as old as the wait for the lock). The tier is read with the lock, never before it: a change of tier that
-- committed meanwhile counts. The clock is read under the lock too: read before it, the intervals of calls that
-- waited would overlap, or end before they begin. Tickers are inserted in the order of their ids: no deadlocks.
--
-- Every statement is a look-up by key, so one plan is right for ever. Left alone PostgreSQL plans anew in each call,
-- since it guesses the length of an array that it does not know: 200 us of server time per call instead of 75.
--
-- p_limits: how many tickers each tier allows. p_until null: on the watchlist. Set: streamed until then; a row that
-- lasts stays lasting. Where the place lacks, streamed rows end: for the watchlist any, those that run out first,
-- then the oldest; for another streamed ticker only those that nobody streams any more and that run out
-- (subscriptions_run_out: 30 s).
-- Answers (in_use, added, tier, room): room is false when nothing was changed for lack of it, then in_use is what
-- counts now and added what would have been new. No row: there is no such active user.
CREATE FUNCTION subscriptions_watch(p_user uuid, p_tickers bigint[], p_limits jsonb, p_until timestamptz)
RETURNS TABLE (in_use int, added bigint[], tier text, room boolean)
LANGUAGE plpgsql
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off AS $$
DECLARE
    v_tier text;
    v_now timestamptz;
    v_soon timestamptz;
    v_yields timestamptz;
    v_all int;
    v_others int;
    v_spare int;
    v_lacking int;
BEGIN
    SELECT u.tier INTO v_tier FROM accounts_user AS u WHERE u.id = p_user AND u.is_active FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    v_now := clock_timestamp();
    v_soon := v_now + interval '30 seconds';
    v_yields := CASE WHEN p_until IS NULL THEN 'infinity' ELSE v_soon END;

    SELECT count(*),
           count(*) FILTER (WHERE s.ticker_id <> ALL (p_tickers)),
           count(*) FILTER (WHERE s.ticker_id <> ALL (p_tickers) AND s.ends_at <= v_yields)
      INTO v_all, v_others, v_spare
      FROM subscriptions_subscription AS s
     WHERE s.user_id = p_user AND NOT s.dormant AND (s.ends_at IS NULL OR s.ends_at > v_now);
    v_lacking := v_others + cardinality(p_tickers) - (p_limits ->> v_tier)::int;
    IF v_lacking > v_spare THEN
        RETURN QUERY SELECT v_all, ARRAY(
            SELECT t FROM unnest(p_tickers) AS t
            EXCEPT
            SELECT s.ticker_id FROM subscriptions_subscription AS s
             WHERE s.user_id = p_user AND NOT s.dormant AND (s.ends_at IS NULL OR s.ends_at > v_now)
        ), v_tier, false;
        RETURN;
    END IF;

    IF v_lacking > 0 THEN
        WITH gone AS (
            DELETE FROM subscriptions_subscription AS d
             WHERE d.user_id = p_user AND d.ticker_id = ANY (ARRAY(
                SELECT s.ticker_id FROM subscriptions_subscription AS s
                 WHERE s.user_id = p_user AND NOT s.dormant AND s.ends_at > v_now AND s.ends_at <= v_yields
                   AND s.ticker_id <> ALL (p_tickers)
                 ORDER BY s.ends_at > v_soon, s.subscribed_at, s.ticker_id LIMIT v_lacking))
            RETURNING d.ticker_id
        )
        UPDATE subscriptions_watchinterval AS i SET ended_at = v_now
          FROM gone WHERE i.user_id = p_user AND i.ticker_id = gone.ticker_id AND i.ended_at IS NULL;
    END IF;

    -- A streamed row that ran out before anybody renewed it ended when it ran out, not now.
    UPDATE subscriptions_watchinterval AS i SET ended_at = s.ends_at
      FROM subscriptions_subscription AS s
     WHERE s.user_id = p_user AND s.ticker_id = ANY (p_tickers) AND s.ends_at <= v_now
       AND i.user_id = p_user AND i.ticker_id = s.ticker_id AND i.ended_at IS NULL;

    INSERT INTO subscriptions_subscription AS s (user_id, ticker_id, subscribed_at, last_accessed, ends_at, dormant)
    SELECT p_user, t, v_now, v_now, p_until, false FROM unnest(p_tickers) AS t ORDER BY t
    ON CONFLICT (user_id, ticker_id) DO UPDATE
       SET last_accessed = v_now,
           dormant = false,
           subscribed_at = CASE WHEN s.ends_at <= v_now THEN v_now ELSE s.subscribed_at END,
           ends_at = CASE WHEN s.ends_at IS NULL OR p_until IS NULL THEN NULL
                          ELSE greatest(s.ends_at, p_until) END;

    INSERT INTO subscriptions_watchinterval (user_id, ticker_id, started_at)
    SELECT p_user, t, v_now FROM unnest(p_tickers) AS t ORDER BY t
    ON CONFLICT (user_id, ticker_id) WHERE ended_at IS NULL DO NOTHING;

    RETURN QUERY SELECT v_all, NULL::bigint[], v_tier, true;
END $$;
