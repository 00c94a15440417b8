ALTER TABLE public.locations ADD PRIMARY KEY (location_id), ADD UNIQUE (code);
ALTER TABLE public.vehicles ADD PRIMARY KEY (vehicle_id), ADD UNIQUE (plate),
    ADD FOREIGN KEY (location_id) REFERENCES public.locations;
ALTER TABLE public.customers ADD PRIMARY KEY (customer_id), ADD UNIQUE (email);
ALTER TABLE public.bookings ADD PRIMARY KEY (booking_id),
    ADD CHECK (ends_on > starts_on),
    ADD FOREIGN KEY (customer_id) REFERENCES public.customers ON DELETE CASCADE,
    ADD FOREIGN KEY (vehicle_id) REFERENCES public.vehicles,
    ADD FOREIGN KEY (pickup_location_id) REFERENCES public.locations,
    ADD FOREIGN KEY (return_location_id) REFERENCES public.locations;
ALTER TABLE public.payments ADD PRIMARY KEY (payment_id), ADD UNIQUE (reference),
    ADD FOREIGN KEY (booking_id) REFERENCES public.bookings ON DELETE CASCADE;

CREATE INDEX ON public.bookings (customer_id);
CREATE INDEX ON public.bookings (vehicle_id, starts_on);
CREATE INDEX bookings_open ON public.bookings (starts_on) WHERE status IN ('reserved', 'active');
CREATE INDEX ON public.payments (booking_id);
CREATE INDEX ON public.customers (lower(full_name));
CREATE INDEX ON public.customers USING gin (address);

CREATE VIEW public.open_bookings AS
    SELECT b.booking_id, c.full_name, v.plate, l.city, b.starts_on, b.ends_on, b.total
    FROM public.bookings b
    JOIN public.customers c USING (customer_id)
    JOIN public.vehicles v USING (vehicle_id)
    JOIN public.locations l ON l.location_id = b.pickup_location_id
    WHERE b.status IN ('reserved', 'active');

CREATE FUNCTION public.touch_booking() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.revision := OLD.revision + 1;
    NEW.updated_at := pg_catalog.now();
    RETURN NEW;
END
$$;
CREATE TRIGGER touch_booking BEFORE UPDATE ON public.bookings
    FOR EACH ROW EXECUTE FUNCTION public.touch_booking();

GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO rental_app;
GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO rental_app;
GRANT SELECT ON public.open_bookings, public.locations, public.vehicles TO rental_report;
GRANT SELECT (booking_id, starts_on, ends_on, total) ON public.bookings TO rental_report;

SELECT pg_catalog.setval(pg_catalog.pg_get_serial_sequence('public.locations', 'location_id'), max(location_id)) FROM public.locations;
SELECT pg_catalog.setval(pg_catalog.pg_get_serial_sequence('public.vehicles', 'vehicle_id'), max(vehicle_id)) FROM public.vehicles;
SELECT pg_catalog.setval(pg_catalog.pg_get_serial_sequence('public.customers', 'customer_id'), max(customer_id)) FROM public.customers;
SELECT pg_catalog.setval(pg_catalog.pg_get_serial_sequence('public.bookings', 'booking_id'), max(booking_id)) FROM public.bookings;
SELECT pg_catalog.setval(pg_catalog.pg_get_serial_sequence('public.payments', 'payment_id'), max(payment_id)) FROM public.payments;
ANALYZE;
