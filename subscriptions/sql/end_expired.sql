-- Ends the streamed rows whose time is over, of up to p_people users; their intervals end when they did.
-- The users are locked first, as everywhere, and in the order of their ids; one who is busy now comes next minute.
-- Answers how many rows went.
CREATE FUNCTION subscriptions_end_expired(p_people int)
RETURNS int
LANGUAGE plpgsql AS $$
DECLARE
    v_people uuid[];
    v_now timestamptz;
    v_gone int;
BEGIN
    v_people := ARRAY(
        SELECT u.id FROM accounts_user AS u
         WHERE u.id IN (SELECT s.user_id FROM subscriptions_subscription AS s WHERE s.ends_at <= clock_timestamp())
         ORDER BY u.id LIMIT p_people FOR NO KEY UPDATE SKIP LOCKED);
    v_now := clock_timestamp();

    UPDATE subscriptions_watchinterval AS i SET ended_at = s.ends_at
      FROM subscriptions_subscription AS s
     WHERE s.user_id = ANY (v_people) AND s.ends_at <= v_now
       AND i.user_id = s.user_id AND i.ticker_id = s.ticker_id AND i.ended_at IS NULL;

    DELETE FROM subscriptions_subscription AS s WHERE s.user_id = ANY (v_people) AND s.ends_at <= v_now;
    GET DIAGNOSTICS v_gone = ROW_COUNT;
    RETURN v_gone;
END $$;
