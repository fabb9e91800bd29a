import MailComposer from 'nodemailer/lib/mail-composer/index.js';

export interface Mail {
  from: string;
  to: string[];
  subject: string;
  messageId: string;
  /** Message-ID of what it answers. */
  inReplyTo?: string;
  /** ISO 8601. */
  at: string;
  text: string;
  html: string;
}

/** The mail as it goes over the wire (RFC 5322), with text and HTML. Nothing in it is taken for a file or an address to fetch. */
export function composeMail({ at, inReplyTo, ...mail }: Mail): Promise<Buffer> {
  const composer = new MailComposer({
    ...mail,
    date: new Date(at),
    ...(inReplyTo === undefined ? {} : { inReplyTo, references: inReplyTo }),
    // Programs that answer mails by themselves leave these alone (RFC 3834).
    headers: { 'Auto-Submitted': 'auto-generated' },
    ...{ disableFileAccess: true, disableUrlAccess: true, newline: 'windows' },
  });
  return composer.compile().build();
}
