-- The naive way, as the first design has it: a stored count of subscribers per ticker, kept by hand. Watching adds
-- one even when the row was there, unwatching takes one away even when there was none, and the limit is counted
-- before the insert without a lock. One call and one commit per operation, so that only the idea differs.
CREATE TABLE rival_subscription (
    user_id uuid NOT NULL,
    ticker_id bigint NOT NULL,
    subscribed_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (user_id, ticker_id)
);
CREATE TABLE rival_count (ticker_id bigint PRIMARY KEY, subscribers int NOT NULL);

CREATE FUNCTION rival_watch(p_user uuid, p_tickers bigint[], p_limit int)
RETURNS TABLE (in_use int, room boolean)
LANGUAGE plpgsql AS $$
DECLARE
    v_others int;
BEGIN
    SELECT count(*) INTO v_others FROM rival_subscription AS s
     WHERE s.user_id = p_user AND s.ticker_id <> ALL (p_tickers);
    IF v_others + cardinality(p_tickers) > p_limit THEN
        RETURN QUERY SELECT v_others, false;
        RETURN;
    END IF;
    INSERT INTO rival_subscription (user_id, ticker_id)
    SELECT p_user, t FROM unnest(p_tickers) AS t ORDER BY t ON CONFLICT DO NOTHING;
    INSERT INTO rival_count AS c (ticker_id, subscribers)
    SELECT t, 1 FROM unnest(p_tickers) AS t ORDER BY t
    ON CONFLICT (ticker_id) DO UPDATE SET subscribers = c.subscribers + 1;
    RETURN QUERY SELECT v_others, true;
END $$;

CREATE FUNCTION rival_unwatch(p_user uuid, p_tickers bigint[])
RETURNS int
LANGUAGE plpgsql AS $$
DECLARE
    v_gone int;
    v_ticker bigint;
BEGIN
    DELETE FROM rival_subscription AS s WHERE s.user_id = p_user AND s.ticker_id = ANY (p_tickers);
    GET DIAGNOSTICS v_gone = ROW_COUNT;
    -- In the order of the ids: at least it does not deadlock.
    FOREACH v_ticker IN ARRAY p_tickers LOOP
        UPDATE rival_count SET subscribers = subscribers - 1 WHERE ticker_id = v_ticker;
        DELETE FROM rival_count WHERE ticker_id = v_ticker AND subscribers <= 0;
    END LOOP;
    RETURN v_gone;
END $$;
