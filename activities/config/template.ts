const NAME = '<name>';

const TEMPLATE = `# Lifeboat: what is backed up, where it goes and what is promised.
# Check it with: lifeboat config check    See every value in force: lifeboat config explain
# Durations ("5s", "1h30m") and sizes ("16MiB") carry their unit. Paths are relative to this file.
# A secret never stands here: { env: NAME } reads a variable, { file: PATH } reads a file.

# Marks the schedules that \`lifeboat apply\` owns. Give every lifeboat.yml its own.
name: ${NAME}

# TEMPORAL_ADDRESS and TEMPORAL_NAMESPACE win over these; TLS and API key come from the Temporal SDK's own settings.
temporal:
  address: 127.0.0.1:7233
  namespace: default
  # ui: http://127.0.0.1:8233
  # encryptionKey: { file: keys/payload.key }   # 32 random bytes in base64: encrypts what Temporal stores

# Made by lifeboat init. Without root.key or the offline recovery key no backup can be read.
keys:
  root: { file: keys/root.key }
  recovery: { public: keys/recovery.pub }
  signing: { file: keys/signing.key }
  # trusted: [ { file: keys/other-host.pub } ]  # signatures of other hosts that are accepted

stores:
  local:
    kind: filesystem
    path: vault
  # offsite:
  #   kind: s3
  #   bucket: backups
  #   prefix: shop
  #   region: eu-west-1
  #   endpoint: http://127.0.0.1:7070   # only when it is not AWS
  #   pathStyle: true
  #   accessKeyId: { env: AWS_ACCESS_KEY_ID }
  #   secretAccessKey: { env: AWS_SECRET_ACCESS_KEY }

# notifiers:
#   pager: { kind: pagerduty, routingKey: { env: PAGERDUTY_KEY } }                # P1 at once
#   chat: { kind: slack, token: { env: SLACK_TOKEN }, channel: "#ops" }           # P1 at once, P2 after 15m
#   mail: { kind: email, host: smtp.example.org, user: lifeboat, password: { env: SMTP_PASSWORD },
#           from: lifeboat@example.org, to: [ ops@example.org ], after: { P3: 2h } }
#   ops: { kind: webhook, url: https://example.org/hooks/lifeboat }               # all of them, at once

sources:
  # crm:
  #   kind: postgres-logical            # pg_dump: one moment, any newer version, one table
  #   connection: { host: 127.0.0.1, user: lifeboat_dump, password: { env: CRM_PASSWORD } }
  #   databases: [crm]                  # absent: all of them
  #   dump: { jobs: 2 }
  #   store: local
  shop:
    kind: postgres
    # The role needs REPLICATION and CONNECT: create role lifeboat login replication password '...'
    connection:
      host: 127.0.0.1
      port: 5432
      user: lifeboat
      database: shop
      password: { env: SHOP_PASSWORD }
    store: local
    # backup: { level: 3, checkpoint: fast, partSize: 16MiB, parallel: 4, chainLimit: 14 }
    # auto reads the files on this host when it is the database's own, else the server sends them; or: local, stream
    # files: { read: auto }
    # wal: { shipEvery: 500ms, heartbeatEvery: 30s, spool: 64MiB }
    schedule:
      backup: { cron: "0 2 * * *", timezone: UTC }
      # Only what changed, PostgreSQL 17 with summarize_wal = on; not at the minute of a full one, of two at once one is skipped.
      # incremental: { cron: "0 8-20/4 * * *", timezone: UTC }
      # drill: { cron: "0 5 * * 0", timezone: UTC }
      # retention: { cron: "30 6 * * *", timezone: UTC }
      # Reads all that is stored, or the WAL alone.
      # verify: { cron: "0 3 * * 6", timezone: UTC }
      # walVerify: { cron: "0 4 * * *", timezone: UTC }
    # Without it nothing is ever removed. Look first: lifeboat retention shop --dry-run
    # retention: { window: 14d, fulls: 2, daily: 30, weekly: 12, monthly: 12, quarterly: 8, annual: 7 }
    objectives: { rto: 1h, rpo: 5m }
    # notify: [ pager, chat, mail ]
    # escalation: [ { to: ops, after: 15m } ]   # of a P1 that nobody acknowledges: lifeboat ack RUN
    # A restore counts only when these hold in the recovered database.
    # probes:
    #   - { sql: "select count(*) > 0 from orders", equals: true }
`;

/** What `lifeboat init` writes: every key a first user needs, the rest as comments that name the defaults. */
export function configTemplate(name: string): string {
  return TEMPLATE.replace(NAME, name);
}
