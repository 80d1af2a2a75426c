-- Seconds for which results (and inputs, if shorter than the deployment's) are kept unless a request says otherwise;
-- NULL: as the deployment says.
ALTER TABLE accounts ADD COLUMN retention_s INTEGER;
