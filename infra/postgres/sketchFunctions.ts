/**
 * SQL functions that read the canonical bytes of uniques and quantiles (domain/measures), for BI tools.
 *
 * A view shows the partials of a window as one `bytea`: per partial its length (four bytes, big endian) and its bytes.
 * So a query can merge any number of windows: `uniques(array_agg(visitors_state))`. The arithmetic is that of the
 * TypeScript code, operation by operation, and gives the same doubles.
 */
import { EXACT_MAX } from "@tidemark/domain/measures/uniques"
import { RANK_MAX, REGISTERS } from "@tidemark/domain/measures/hyperloglog"
import { RELATIVE_ACCURACY } from "@tidemark/domain/measures/quantiles"

/** Key of the sketch bucket that ends at 1, and the largest key: part of the stored format (domain/measures/quantiles.ts). */
const KEY_OFFSET = 1_037
const KEY_MAX = 2_419

const partials = (schema: string): string => `
CREATE FUNCTION ${schema}.partial(state bytea) RETURNS bytea LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
  RETURN int4send(length(state)) || state;
CREATE FUNCTION ${schema}.partials(states bytea[]) RETURNS SETOF bytea LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
DECLARE
  packed bytea;
  at int;
  size int;
BEGIN
  FOREACH packed IN ARRAY states LOOP
    at := 0;
    WHILE at < length(packed) LOOP
      size := (get_byte(packed, at) << 24) | (get_byte(packed, at + 1) << 16) | (get_byte(packed, at + 2) << 8) | get_byte(packed, at + 3);
      RETURN NEXT substring(packed FROM at + 5 FOR size);
      at := at + 4 + size;
    END LOOP;
  END LOOP;
END $$;`

/** Tags 5 (set), 6 (sparse pairs), 7 (dense registers): `encoding.ts`. */
const uniques = (schema: string): string => `
CREATE FUNCTION ${schema}.uniques(states bytea[]) RETURNS bigint LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
DECLARE
  hashes bigint;
  histogram bigint[] := array_fill(0::bigint, ARRAY[${RANK_MAX + 1}]);
  entry record;
  x float8; y float8; z float8; before float8;
BEGIN
  IF NOT EXISTS (SELECT FROM ${schema}.partials(states) p WHERE get_byte(p, 0) <> 5) THEN
    SELECT count(DISTINCT substring(p FROM i FOR 8)) INTO hashes FROM ${schema}.partials(states) p, generate_series(2, length(p), 8) i;
    IF hashes <= ${EXACT_MAX} THEN RETURN hashes; END IF;
  END IF;
  FOR entry IN
    SELECT ranks.rank, count(*) AS registers FROM (
      SELECT found.register, max(found.rank) AS rank FROM (
        SELECT substring(bits FROM 1 FOR 14)::bit(14)::int AS register, coalesce(nullif(position(B'1' IN substring(bits FROM 15)), 0), ${RANK_MAX}) AS rank
          FROM ${schema}.partials(states) p, generate_series(2, length(p), 8) i,
            LATERAL (SELECT ('x' || encode(substring(p FROM i FOR 8), 'hex'))::bit(64) AS bits) hash
          WHERE get_byte(p, 0) = 5
        UNION ALL
        SELECT pair >> 6, pair & 63
          FROM ${schema}.partials(states) p, generate_series(1, length(p) - 1, 3) i,
            LATERAL (SELECT (get_byte(p, i) << 16) | (get_byte(p, i + 1) << 8) | get_byte(p, i + 2) AS pair) pairs
          WHERE get_byte(p, 0) = 6
        UNION ALL
        SELECT i, (((get_byte(p, 1 + i / 4 * 3) << 16) | (get_byte(p, 2 + i / 4 * 3) << 8) | get_byte(p, 3 + i / 4 * 3)) >> (18 - 6 * (i % 4))) & 63
          FROM ${schema}.partials(states) p, generate_series(0, ${REGISTERS - 1}) i
          WHERE get_byte(p, 0) = 7
      ) found GROUP BY found.register
    ) ranks WHERE ranks.rank > 0 GROUP BY ranks.rank
  LOOP
    histogram[entry.rank + 1] := entry.registers;
  END LOOP;
  histogram[1] := ${REGISTERS} - (SELECT sum(n) FROM unnest(histogram) n);
  x := 1 - histogram[${RANK_MAX + 1}]::float8 / ${REGISTERS};
  z := 0;
  IF x <> 0 AND x <> 1 THEN
    y := 1; z := 1 - x; before := 'NaN';
    WHILE z <> before LOOP
      x := sqrt(x); before := z; y := y * 0.5; z := z - power(1 - x, 2) * y;
    END LOOP;
    z := z / 3;
  END IF;
  z := ${REGISTERS} * z;
  FOR rank IN REVERSE ${RANK_MAX - 1}..1 LOOP z := 0.5 * (z + histogram[rank + 1]); END LOOP;
  x := histogram[1]::float8 / ${REGISTERS};
  IF x = 1 THEN RETURN 0; END IF;
  y := 1; before := 'NaN';
  DECLARE sigma float8 := x;
  BEGIN
    WHILE sigma <> before AND x <> 0 LOOP
      x := x * x; before := sigma; sigma := sigma + x * y; y := y + y;
    END LOOP;
    z := z + ${REGISTERS} * sigma;
  END;
  RETURN floor(${REGISTERS * REGISTERS}::float8 / (2 * ${Math.LN2}::float8 * z) + 0.5)::bigint;
END $$;`

/** Reads one varint at \`at\`; answers the value and the place after it. */
const varints = (schema: string): string => `
CREATE FUNCTION ${schema}.unsigned_at(bytes bytea, INOUT at int, OUT value numeric) LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
DECLARE
  factor numeric := 1;
  byte int;
BEGIN
  value := 0;
  LOOP
    byte := get_byte(bytes, at);
    at := at + 1;
    value := value + (byte & 127) * factor;
    EXIT WHEN byte < 128;
    factor := factor * 128;
  END LOOP;
END $$;
CREATE FUNCTION ${schema}.signed_at(bytes bytea, INOUT at int, OUT value numeric) LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
BEGIN
  SELECT * INTO at, value FROM ${schema}.unsigned_at(bytes, at);
  value := CASE WHEN mod(value, 2) = 0 THEN div(value, 2) ELSE -div(value + 1, 2) END;
END $$;`

const quantile = (schema: string): string => `
CREATE FUNCTION ${schema}.quantile(states bytea[], q float8, scale int) RETURNS float8 LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
DECLARE
  gamma CONSTANT float8 := (1 + ${RELATIVE_ACCURACY}::float8) / (1 - ${RELATIVE_ACCURACY}::float8);
  buckets numeric[] := array_fill(0::numeric, ARRAY[${2 * KEY_MAX + 1}]);
  total numeric := 0; low numeric; high numeric; value numeric; rank numeric; seen numeric := 0;
  p bytea; at int; size int; key int; bound float8 := 1; middle float8;
BEGIN
  FOR p IN SELECT * FROM ${schema}.partials(states) LOOP
    SELECT * INTO at, value FROM ${schema}.unsigned_at(p, 1);
    CONTINUE WHEN value = 0;
    total := total + value;
    SELECT * INTO at, value FROM ${schema}.signed_at(p, at);
    SELECT * INTO at, value FROM ${schema}.signed_at(p, at);
    low := least(low, value);
    SELECT * INTO at, value FROM ${schema}.signed_at(p, at);
    high := greatest(high, value);
    SELECT * INTO at, value FROM ${schema}.unsigned_at(p, at);
    size := value;
    key := 0;
    FOR i IN 1..size LOOP
      IF i = 1 THEN SELECT * INTO at, value FROM ${schema}.signed_at(p, at);
      ELSE SELECT * INTO at, value FROM ${schema}.unsigned_at(p, at); END IF;
      key := key + value::int;
      SELECT * INTO at, value FROM ${schema}.unsigned_at(p, at);
      buckets[key + ${KEY_MAX + 1}] := buckets[key + ${KEY_MAX + 1}] + value;
    END LOOP;
  END LOOP;
  IF total = 0 THEN RETURN NULL; END IF;
  rank := greatest(1, div(floor(q * 1000000 + 0.5)::numeric * total + 999999, 1000000));
  FOR i IN 1..${2 * KEY_MAX + 1} LOOP
    seen := seen + buckets[i];
    key := i - ${KEY_MAX + 1};
    EXIT WHEN seen >= rank;
  END LOOP;
  FOR i IN ${KEY_OFFSET + 1}..abs(key) LOOP bound := bound * gamma; END LOOP;
  FOR i IN abs(key)..${KEY_OFFSET - 1} LOOP bound := bound / gamma; END LOOP;
  middle := CASE WHEN key = 0 THEN 0 ELSE sign(key) * (2 * bound / (gamma + 1)) END;
  RETURN least(greatest(middle, low::float8 / (10::numeric ^ scale)::float8), high::float8 / (10::numeric ^ scale)::float8);
END $$;`

/** Statements that create the functions in `schema`, which is quoted already. */
export const sketchFunctions = (schema: string): string => [partials(schema), uniques(schema), varints(schema), quantile(schema)].join("\n")
