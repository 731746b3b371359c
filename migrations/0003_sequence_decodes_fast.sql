-- Every activity of a page is read with its sequence: of a page over all tenants that takes 60 ms of CPU, ZSTD took 8 to
-- find 101 of them (docs/decisions/0017). T64 decodes what lies between in a fraction, and is smaller: 2.6 B a row, before
-- 3.5. Parts that are there read as before until they are merged. Every statement may run twice.
ALTER TABLE {DATABASE}.activities {ON_CLUSTER} MODIFY COLUMN seq UInt64 CODEC(T64, LZ4);
ALTER TABLE {DATABASE}.audit_logs {ON_CLUSTER} MODIFY COLUMN seq UInt64 CODEC(T64, LZ4);
ALTER TABLE {DATABASE}.k8s_events {ON_CLUSTER} MODIFY COLUMN seq UInt64 CODEC(T64, LZ4);
