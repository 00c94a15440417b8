DROP EVENT TRIGGER IF EXISTS unwipe_guard_arm;
DROP EVENT TRIGGER IF EXISTS unwipe_guard_refuse_drop;
DROP EVENT TRIGGER IF EXISTS unwipe_guard_refuse_disarm;
