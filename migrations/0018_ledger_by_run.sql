-- What a run has spent, call by call, is asked for by run.
CREATE INDEX usage_calls_of_run ON headwater.usage_calls (run_id);
