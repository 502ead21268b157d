-- Digests of applied seals: a seal that comes again must be the same one, or the device's disk was
-- copied. Forty bytes a seal, kept for ever.
CREATE TABLE fs_seal (
    replica_no  BIGINT NOT NULL,
    incarnation BIGINT NOT NULL,
    seal_no     BIGINT NOT NULL,
    digest      BLOB NOT NULL,
    PRIMARY KEY (replica_no, incarnation, seal_no)
);
