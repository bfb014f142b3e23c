-- Alerts in the shares of after a split: each by its own new prices, all of them locked already.
-- One that compares a price begins anew: the first tick sets its baseline and never fires.
UPDATE alerts_alert AS alert
   SET threshold = new.threshold, lower = new.lower, upper = new.upper,
       reference_price = new.reference_price, armed_price = new.armed_price,
       splits_until = %(until)b::date,
       version = alert.version + new.is_price::int,
       phase = CASE WHEN new.is_price THEN 0 ELSE alert.phase END,
       armed_at = CASE WHEN new.is_price THEN %(now)b::timestamptz ELSE alert.armed_at END,
       edited_at = CASE WHEN new.is_price THEN %(now)b::timestamptz ELSE alert.edited_at END,
       is_paused = alert.is_paused OR new.is_beyond,
       active = alert.active AND NOT new.is_beyond
  FROM unnest(
       %(id)b::bigint[], %(threshold)b::numeric[], %(lower)b::numeric[], %(upper)b::numeric[],
       %(reference_price)b::numeric[], %(armed_price)b::numeric[], %(is_price)b::bool[], %(is_beyond)b::bool[]
  ) AS new (id, threshold, lower, upper, reference_price, armed_price, is_price, is_beyond)
 WHERE alert.id = ANY (%(id)b::bigint[]) AND alert.id = new.id
