import type {
  DatabaseProperties,
  DumpedDatabase,
  DumpedSequence,
  DumpedTable,
} from '../../../../workflows/model/dump.ts';
import { failure } from '../../../../workflows/model/failure.ts';
import type { SqlClient } from '../connection.ts';
import { query } from '../connection.ts';

/** What is in a database beside rows, as the catalog of this session's snapshot has it. */
export type Survey = Pick<
  DumpedDatabase,
  'properties' | 'sequences' | 'schemas' | 'extensions' | 'objects' | 'roles'
> & {
  tables: Omit<DumpedTable, 'rows' | 'checksum'>[];
};

const OURS = `n.nspname !~ '^pg_' and n.nspname <> 'information_schema'`;
/** What belongs to an extension comes with it. */
const notOfExtension = (catalog: string, oid: string): string =>
  `not exists (select from pg_depend x where x.classid = '${catalog}'::regclass and x.objid = ${oid} and x.deptype = 'e')`;

const TABLES = `
  select n.nspname as schema, c.relname as name, c.relkind = 'p' as partitioned,
         case when c.relkind = 'p' then '0' else pg_table_size(c.oid)::text end as bytes,
         (select array_agg(pn.nspname || '.' || pc.relname) from pg_partition_ancestors(c.oid) a(oid)
            join pg_class pc on pc.oid = a.oid join pg_namespace pn on pn.oid = pc.relnamespace
           where a.oid <> c.oid) as parents,
         (select array_agg(ic.relname::text order by ic.relname) from pg_index i join pg_class ic on ic.oid = i.indexrelid
           where i.indrelid = c.oid) as indexes,
         (select array_agg(case when sn.oid = n.oid then '' else sn.nspname || '.' end || sc.relname order by sc.relname)
            from pg_depend d join pg_class sc on sc.oid = d.objid and sc.relkind = 'S'
            join pg_namespace sn on sn.oid = sc.relnamespace
           where d.classid = 'pg_class'::regclass and d.refclassid = 'pg_class'::regclass and d.refobjid = c.oid
             and d.deptype in ('a', 'i')) as sequences
    from pg_class c join pg_namespace n on n.oid = c.relnamespace
   where c.relkind in ('r', 'p') and ${OURS} and ${notOfExtension('pg_class', 'c.oid')}
   order by 1, 2`;

const SEQUENCES = `
  select n.nspname as schema, c.relname as name, pg_sequence_last_value(c.oid)::text as value,
         s.seqincrement::text as increment, s.seqcycle as cycle
    from pg_sequence s join pg_class c on c.oid = s.seqrelid join pg_namespace n on n.oid = c.relnamespace
   where ${OURS} and ${notOfExtension('pg_class', 'c.oid')} order by 1, 2`;

/** Kinds that a dump carries. Not-null constraints are objects of their own from version 18 on, and are left out. */
const OBJECTS = `
  with named as (select oid from pg_namespace n where ${OURS})
  select kind, count(*)::int as count from (
    select case c.relkind when 'i' then 'indexes' when 'I' then 'partitioned indexes' when 'v' then 'views'
             when 'm' then case when c.relispopulated then 'materialized views' else 'materialized views without data' end
             when 'f' then 'foreign tables' when 'c' then 'composite types' when 'p' then 'partitioned tables'
             when 'S' then 'sequences' else 'tables' end as kind
      from pg_class c where relnamespace in (table named) and relkind in ('r','p','i','I','v','m','f','c','S')
       and ${notOfExtension('pg_class', 'c.oid')}
    union all select case p.prokind when 'a' then 'aggregates' when 'p' then 'procedures' else 'functions' end
      from pg_proc p where pronamespace in (table named) and ${notOfExtension('pg_proc', 'p.oid')}
    union all select case contype when 'f' then 'foreign keys' when 'c' then 'checks' when 't' then 'constraint triggers'
                else 'keys' end
      from pg_constraint k where connamespace in (table named) and contype <> 'n' and ${notOfExtension('pg_constraint', 'k.oid')}
       and not exists (select from pg_depend x where x.classid = 'pg_type'::regclass and x.objid = k.contypid and x.deptype = 'e')
    union all select 'triggers' from pg_trigger t join pg_class c on c.oid = tgrelid
     where not tgisinternal and relnamespace in (table named)
    union all select 'rules' from pg_rewrite r join pg_class c on c.oid = ev_class
     where relnamespace in (table named) and rulename <> '_RETURN' and ${notOfExtension('pg_class', 'c.oid')}
    union all select 'policies' from pg_policy p join pg_class c on c.oid = polrelid where relnamespace in (table named)
    union all select 'tables with row-level security' from pg_class where relrowsecurity and relnamespace in (table named)
    union all select 'generated columns' from pg_attribute a join pg_class c on c.oid = attrelid
     where attgenerated <> '' and not attisdropped and relnamespace in (table named) and relkind in ('r', 'p')
    union all select 'types' from pg_type t where typnamespace in (table named) and typtype in ('d', 'e', 'r')
       and ${notOfExtension('pg_type', 't.oid')}
    union all select 'statistics' from pg_statistic_ext where stxnamespace in (table named)
    union all select 'event triggers' from pg_event_trigger e where ${notOfExtension('pg_event_trigger', 'e.oid')}
    union all select 'publications' from pg_publication
    union all select 'subscriptions' from pg_subscription
     where subdbid = (select oid from pg_database where datname = current_database())
       and (select rolsuper from pg_roles where rolname = current_user)
    union all select 'foreign servers' from pg_foreign_server s where ${notOfExtension('pg_foreign_server', 's.oid')}
  ) found group by 1 order by 1`;

const NAMES = `
  select (select coalesce(array_agg(n.nspname::text order by n.nspname), '{}') from pg_namespace n
           where ${OURS} and ${notOfExtension('pg_namespace', 'n.oid')}) as schemas,
         (select coalesce(array_agg(extname::text order by extname), '{}') from pg_extension) as extensions,
         (select coalesce(array_agg(distinct name::text order by name::text), '{}') from (
            select r.rolname from pg_shdepend d join pg_roles r on r.oid = d.refobjid
             where d.refclassid = 'pg_authid'::regclass
               and (d.dbid = (select oid from pg_database where datname = current_database()))
            union select pg_get_userbyid(relowner) from pg_class c join pg_namespace n on n.oid = relnamespace where ${OURS}
            union select pg_get_userbyid(proowner) from pg_proc p join pg_namespace n on n.oid = pronamespace where ${OURS}
            union select pg_get_userbyid(nspowner) from pg_namespace n where ${OURS}
            union select pg_get_userbyid(lomowner) from pg_largeobject_metadata) owners(name)
           where name not like 'pg\\_%') as roles`;

/** Everything that one snapshot shows of a database, but for rows. */
export async function surveyOf(client: SqlClient): Promise<Survey> {
  const [names] = await query<Pick<Survey, 'schemas' | 'extensions' | 'roles'> & Record<string, unknown>>(
    client,
    NAMES,
  );
  if (!names) throw failure('Bug', 'the catalog returned no row');
  const objects = await query<{ kind: string; count: number }>(client, OBJECTS);
  return {
    ...names,
    properties: await propertiesOf(client),
    tables: (await query<TableRow & Record<string, unknown>>(client, TABLES)).map(tableOf),
    sequences: (await query<SequenceRow & Record<string, unknown>>(client, SEQUENCES)).map(sequenceOf),
    objects: Object.fromEntries(objects.map(({ kind, count }) => [kind, count])),
  };
}

interface TableRow {
  schema: string;
  name: string;
  partitioned: boolean;
  bytes: string;
  parents: string[] | null;
  indexes: string[] | null;
  sequences: string[] | null;
}

function tableOf({
  schema,
  name,
  partitioned,
  bytes,
  parents,
  indexes,
  sequences,
}: TableRow): Survey['tables'][number] {
  return {
    ...{ schema, name, bytes: Number(bytes) },
    ...(partitioned ? { partitioned } : {}),
    ...(parents ? { partitionOf: parents } : {}),
    ...(indexes ? { indexes } : {}),
    ...(sequences ? { sequences } : {}),
  };
}

type SequenceRow = Omit<DumpedSequence, 'value'> & { value: string | null };

function sequenceOf({ value, ...rest }: SequenceRow): DumpedSequence {
  return { ...rest, ...(value === null ? {} : { value }) };
}

/** The catalog's columns for a locale have another name in each version. */
async function propertiesOf(client: SqlClient): Promise<DatabaseProperties> {
  const [found] = await query<{
    row: Record<string, string | number | null>;
    owner: string;
    encoding: string;
    comment: string | null;
  }>(
    client,
    `select to_jsonb(d) - 'datacl' as row, shobj_description(oid, 'pg_database') as comment, pg_get_userbyid(datdba) as owner, pg_encoding_to_char(encoding) as encoding
       from pg_database d where datname = current_database()`,
  );
  if (!found) throw failure('Bug', 'a database does not know itself');
  const text = (name: string): string | undefined => {
    const value = found.row[name];
    return value === null || value === undefined ? undefined : String(value);
  };
  const locale = text('datlocale') ?? text('daticulocale');
  const icuRules = text('daticurules');
  return {
    ...{ owner: found.owner, encoding: found.encoding },
    ...(found.comment === null ? {} : { comment: found.comment }),
    ...{ collate: text('datcollate') ?? 'C', ctype: text('datctype') ?? 'C' },
    provider: PROVIDERS[text('datlocprovider') ?? 'c'] ?? 'libc',
    ...(locale === undefined ? {} : { locale }),
    ...(icuRules === undefined ? {} : { icuRules }),
    connectionLimit: Number(text('datconnlimit') ?? -1),
    settings: await settingsOf(client),
    ...(await grantsOf(client)),
  };
}

const PROVIDERS: Record<string, string> = { c: 'libc', i: 'icu', b: 'builtin' };

async function settingsOf(client: SqlClient): Promise<DatabaseProperties['settings']> {
  const rows = await query<{ role: string | null; setting: string }>(
    client,
    // In their order: pg_dump writes them so, and a later one may depend on an earlier one.
    `select r.rolname as role, one.setting
       from pg_db_role_setting s cross join unnest(setconfig) with ordinality one(setting, place)
       left join pg_roles r on r.oid = s.setrole
      where setdatabase = (select oid from pg_database where datname = current_database())
      order by r.rolname nulls first, one.place`,
  );
  return rows.map(({ role, setting }) => {
    const at = setting.indexOf('=');
    return { ...(role === null ? {} : { role }), name: setting.slice(0, at), value: setting.slice(at + 1) };
  });
}

async function grantsOf(client: SqlClient): Promise<Pick<DatabaseProperties, 'grants'>> {
  const rows = await query<{ grantee: string | null; privilege: string; grantable: boolean }>(
    client,
    `select r.rolname as grantee, a.privilege_type as privilege, a.is_grantable as grantable
       from pg_database d, aclexplode(datacl) a left join pg_roles r on r.oid = a.grantee
      where datname = current_database() order by 1, 2`,
  );
  if (rows.length === 0) return {};
  const grants = rows.map(({ grantee, ...rest }) => ({ ...(grantee === null ? {} : { grantee }), ...rest }));
  return { grants };
}
