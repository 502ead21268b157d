-- Digests of applied seals: a seal that comes again must be the same one, or the device's disk was
-- copied. Fifty bytes a seal, kept for ever.
CREATE TABLE fs_seal (
    replica_no  BIGINT NOT NULL,
    incarnation BIGINT NOT NULL,
    seal_no     BIGINT NOT NULL,
    digest      BLOB NOT NULL,
    commit_seq  BIGINT NOT NULL,        -- lowest seq of the commit that holds it
    PRIMARY KEY (replica_no, incarnation, seal_no)
);
