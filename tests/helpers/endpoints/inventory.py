"""Feedings, purchases, stock, feeding summaries and feed conversion."""

from __future__ import annotations

from tests.helpers.endpoints.endpoint import Endpoint

INVENTORY = (
    Endpoint(
        "inventory/feeding-events/summary/",
        "feed on the farm's last day",
        """SELECT sum(amount_kg) > 0 AND bool_and((feeding_percentage > 0 AND batch_biomass_kg > 0) IS TRUE)
           FROM inventory_feedingevent WHERE feeding_date = %(today)s""",
    ),
    Endpoint(
        "inventory/feeding-events/finance_report/",
        "feed at sea of each geography has a cost",
        """SELECT count(*) = (SELECT count(*) FROM infrastructure_geography) AND count(*) > 0 AND
             bool_and((cost > 0) IS TRUE)
           FROM (SELECT geography_id, sum(feed_cost) AS cost FROM inventory_feedingevent f
             JOIN infrastructure_container c ON c.id = f.container_id JOIN infrastructure_area a ON a.id = c.area_id
             GROUP BY 1) g""",
    ),
    Endpoint(
        "inventory/feed-purchases/summary/",
        "purchases of each feed that was fed, with a price",
        """SELECT count(*) > 0 AND bool_and((quantity_kg > 0 AND cost_per_kg > 0) IS TRUE)
             AND NOT EXISTS (SELECT FROM inventory_feedingevent f WHERE f.feed_id NOT IN
               (SELECT feed_id FROM inventory_feedpurchase)) FROM inventory_feedpurchase""",
    ),
    Endpoint(
        "inventory/feed-container-stock/{summary, by_container, fifo_order}/",
        "stock that is left of purchases, never more than was bought, and entered after it",
        """SELECT count(*) > 0 AND sum(s.quantity_kg) > 0 AND bool_and((s.quantity_kg >= 0
             AND s.quantity_kg <= p.quantity_kg) IS TRUE)
             AND bool_and((s.entry_date::date >= p.purchase_date) IS TRUE)
           FROM inventory_feedcontainerstock s JOIN inventory_feedpurchase p ON p.id = s.feed_purchase_id""",
    ),
    Endpoint(
        "inventory/batch-feeding-summaries/",
        "one kind of period, calendar months, and the feed of each month is that of the feedings",
        """SELECT count(*) > 0 AND bool_and((period_start = date_trunc('month', period_start)::date
             AND period_end = (date_trunc('month', period_start) + interval '1 month - 1 day')::date) IS TRUE)
             AND bool_and((abs(total_feed_kg - feed) <= 0.05) IS TRUE) AND bool_and((weighted_avg_fcr BETWEEN 0.5
             AND 3) IS TRUE)
           FROM (SELECT s.*, (SELECT sum(amount_kg) FROM inventory_feedingevent f WHERE f.batch_id = s.batch_id
               AND feeding_date BETWEEN period_start AND period_end) AS feed
             FROM inventory_batchfeedingsummary s) s""",
    ),
    Endpoint(
        "inventory/batch-feeding-summaries/by_batch/",
        "each batch that was fed has every month in which it was fed",
        """SELECT count(*) > 0 AND bool_and(s.id IS NOT NULL) FROM (SELECT DISTINCT batch_id,
             date_trunc('month', feeding_date)::date AS month FROM inventory_feedingevent) f
           LEFT JOIN inventory_batchfeedingsummary s ON s.batch_id = f.batch_id AND s.period_start = f.month""",
    ),
    Endpoint(
        "operational/fcr-trends/?interval=MONTHLY",
        "months of the last 365 days have a conversion, and the scenarios' models have one for each stage",
        """SELECT sum(total_feed_kg * weighted_avg_fcr) / sum(total_feed_kg) BETWEEN 0.9 AND 1.5
             AND (SELECT count(DISTINCT stage_id) = 6 FROM scenario_fcrmodelstage
               WHERE model_id IN (SELECT fcr_model_id FROM scenario))
           FROM inventory_batchfeedingsummary WHERE period_end > %(today)s - 365""",
    ),
    Endpoint(
        "operational/fcr-trends/?batch_id=",
        "each batch that was fed has a conversion in some month",
        """SELECT count(*) > 0 AND bool_and(EXISTS (SELECT FROM inventory_batchfeedingsummary s
             WHERE s.batch_id = b.batch_id AND weighted_avg_fcr IS NOT NULL))
           FROM (SELECT DISTINCT batch_id FROM inventory_feedingevent) b""",
    ),
    Endpoint(
        "operational/fcr-trends/?assignment_id=",
        "summaries of containers add up to those of batches",
        """SELECT count(*) > 0 AND bool_and((abs(b.total_feed_kg - c.feed) <= 0.05
             AND b.container_count = c.containers) IS TRUE)
           FROM inventory_batchfeedingsummary b JOIN (SELECT batch_id, period_start, sum(total_feed_kg) AS feed,
             count(*) AS containers
             FROM inventory_containerfeedingsummary GROUP BY 1, 2) c USING (batch_id, period_start)""",
    ),
    Endpoint(
        "operational/fcr-trends/?geography_id=&include_predicted=false",
        "months of batches at sea in each geography",
        """SELECT count(DISTINCT a.geography_id) = (SELECT count(*) FROM infrastructure_geography) AND count(*) > 0
           FROM inventory_batchfeedingsummary s JOIN batch_batchcontainerassignment b ON b.batch_id = s.batch_id
           JOIN infrastructure_container c ON c.id = b.container_id JOIN infrastructure_area a ON a.id = c.area_id
           WHERE s.weighted_avg_fcr IS NOT NULL AND period_end > %(today)s - 365""",
    ),
)
