/** Which server of a cluster something is taken from; prefer-standby: a standby, and the primary while there is none. */
export const SERVER_WISHES = ['primary', 'standby', 'prefer-standby'] as const;
export type ServerWish = (typeof SERVER_WISHES)[number];

/** What a server is at present: one that writes, or one that replays what another writes. */
export type ServerRole = 'primary' | 'standby';
