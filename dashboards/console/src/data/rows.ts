// The rows that the hub sends, as `GET /api/v1/openapi.json` publishes them.

export const SEVERITIES = ["critical", "major", "minor", "warning"] as const;
export type Severity = (typeof SEVERITIES)[number];

export const ALARM_STATES = [
  "active_unacked", "latched_unacked", "cleared_unacked", "active_acked", "latched_acked",
  "shelved", "suppressed", "out_of_service", "normal",
] as const;
export type AlarmState = (typeof ALARM_STATES)[number];

export type Role = "viewer" | "officer" | "supervisor" | "engineer" | "admin" | "auditor" | "platform";

export interface Alarm {
  id: string;
  rule: string;
  rule_revision: number;
  title?: string;
  device: string;
  /** As the device is called now; in an event, as it was called then. */
  device_name?: string | null;
  location?: Location | null;
  /** What to do about it, of the rule; only where one alarm is asked for. */
  advice?: string | null;
  kind: string;
  site: string | null;
  grid: string | null;
  severity: Severity;
  state: AlarmState;
  active: boolean;
  acked: boolean;
  raised_at: string;
  cleared_at: string | null;
  metric: string | null;
  value: number | null;
  limit: number | null;
  unit: string | null;
  peak: number | null;
  count: number;
  owner: string | null;
  shelved_until: string | null;
  suppressed_by: string | null;
  case: string | null;
  note: string | null;
  category: string | null;
  shadow: boolean;
  rule_kind: string | null;
  latching: boolean;
  parent: string | null;
  scope: string | null;
  announced_at: string | null;
  suppression: "gateway" | "composite" | "chatter" | null;
  returns_at: string | null;
  shelved_by: string | null;
  shelve_reason: string | null;
  shelved_severity: Severity | null;
  cause?: "sensor" | "gateway" | "link";
  verdict: string | null;
  chattering: boolean;
  stale: boolean;
  version: number;
}

export interface AlarmCounts {
  total: number;
  matched?: number;
  severity: Record<Severity, number>;
  state: Partial<Record<AlarmState, number>>;
}

export interface AlarmPage {
  items: Alarm[];
  counts: AlarmCounts;
  as_of_seq: number;
  next: string | null;
}

export const ALARM_ACTIONS = [
  "ack", "shelve", "unshelve", "assign", "comment", "false_alarm", "out_of_service", "in_service", "reset",
] as const;
export type AlarmAction = (typeof ALARM_ACTIONS)[number];

export interface AlarmRequest {
  version?: number;
  comment?: string;
  minutes?: number;
  reason?: string;
  owner?: string;
}

/** One entry of `GET /api/v1/alarms/{id}/history`. */
export interface AlarmHappening {
  seq: number;
  at: string;
  /** `raised`, `acked`, `commented` … */
  kind: string;
  actor: string | null;
  comment: string | null;
  severity: Severity;
  state: AlarmState;
  value: number | null;
  limit: number | null;
  unit: string | null;
  owner: string | null;
  shelved_until: string | null;
  shelve_reason: string | null;
  suppressed_by: string | null;
  verdict: string | null;
  case: string | null;
  note: string | null;
}

export interface BulkAnswer {
  matched: number;
  succeeded: number;
  failed: { id: string; code: "not_found" | "conflict" | "invalid" | "forbidden" | "busy" | "needs_id"; detail?: string }[];
}

export interface Location {
  lon: number;
  lat: number;
  datum?: "WGS84" | "CGCS2000" | "GCJ02";
}

export interface Position {
  lon: number;
  lat: number;
  accuracy_m?: number;
  locked?: boolean;
}

export type DeviceStatus = "online" | "offline" | "frozen" | "clock_wrong" | "never_seen";

export interface Latest {
  value: number | Position;
  unit: string;
  quality: string;
  observed_at: string;
  received_at: string;
}

export interface MetricQuality {
  window_s: number;
  readings: number;
  good: number | null;
  uncertain: number | null;
  bad: number | null;
  causes: Record<string, number>;
  last_good_at: string | null;
}

export interface Device {
  id: string;
  kind: string;
  name?: string;
  site?: string;
  location?: Location;
  parent?: string;
  cadence_s?: number;
  component_code?: string;
  tags?: Record<string, string>;
  identities?: Record<string, string>;
  enabled: boolean;
  status: DeviceStatus;
  since: string | null;
  cause: "sensor" | "gateway" | "link" | null;
  last_seen: string | null;
  grid: string | null;
  latest?: Record<string, Latest>;
  quality?: Record<string, MetricQuality>;
  rejected?: Record<string, number>;
}

export interface DevicePage {
  items: Device[];
  counts: Record<DeviceStatus, number>;
  as_of_seq?: number;
  next: string | null;
}

export interface Series {
  metric: string;
  unit: string;
  points: [number, number | Position, string][];
  next?: string | null;
}

export const CASE_STATES = [
  "reported", "accepted", "dispatched", "handling", "fed_back", "verified", "deferred", "closed", "voided",
] as const;
export type CaseState = (typeof CASE_STATES)[number];

export type CaseStepName =
  | "accept" | "dispatch" | "handle" | "feedback" | "verify" | "close" | "return" | "void" | "extend" | "defer" | "supervise";

export interface CaseStep {
  number: number;
  step: CaseStepName;
  actor: string;
  at: string;
  received_at: string;
  note?: string;
  from: CaseState;
  to: CaseState;
  overridden?: boolean;
  /** The new due time of an extension, or the end of a deferment. */
  until?: string;
}

export interface Case {
  id: string;
  category: { code: string; name: string };
  severity: Severity;
  title: string;
  description?: string;
  location?: Location | null;
  grid?: string | null;
  district?: string | null;
  street?: string | null;
  component_code?: string | null;
  component?: { code: string; name: string } | null;
  device?: string;
  kind?: string;
  site?: string | null;
  rule?: string;
  alarm?: string;
  alarms?: string[];
  evidence?: {
    metric: string | null; unit: string | null; value: number | null; limit: number | null; window_s: number | null;
    peak: number | null; from: string | null; to: string | null; readings: number;
  };
  state: CaseState;
  opened_at: string;
  due_at?: string | null;
  time_limit?: { amount: number; unit: "urgent_hour" | "work_hour" | "work_day" | "natural_day" } | null;
  steps: CaseStep[];
  unit?: string | null;
  cameras?: string[];
  active_alarms?: string[];
  /** Does the sensor still measure it? */
  violation?: boolean | null;
  repeats?: number;
  reopens?: string | null;
  reopened_by?: string | null;
  supervised?: boolean;
  major?: boolean;
  deferred_until?: string | null;
  deferred_from?: CaseState | null;
  extensions?: number;
  closed_at?: string | null;
  unroutable?: string | null;
  overdue?: boolean;
  note?: string | null;
  verdict?: string | null;
  codes_version?: string;
  version: number;
}

export interface CasePage {
  items: Case[];
  counts: {
    total: number;
    severity: Partial<Record<Severity, number>>;
    state: Partial<Record<CaseState, number>>;
    overdue: number;
    unroutable: number;
    supervised: number;
  };
  as_of_seq: number;
  next: string | null;
}

/** A step as it is reported; what is left out is the hub's to say. */
export interface CaseReport {
  step: CaseStepName;
  note?: string;
  actor?: string;
  at?: string;
  until?: string;
  to?: CaseState;
  override?: boolean;
  version?: number;
}

/** A rule: the keys of a rule file; each kind has its own beside these. */
export interface Rule {
  id: string;
  revision: number;
  title?: string;
  kind: string;
  select?: Record<string, unknown>;
  devices?: string[];
  metric?: string;
  severity?: Severity;
  category?: string;
  enabled?: boolean;
  shadow?: boolean;
  figures_7d?: RuleWeek;
  [key: string]: unknown;
}

/** What a rule did in the last seven days; of what was announced, how much was false or chattered. */
export interface RuleWeek { announced: number; false_alarms: number; chattering: number; shadow: number }

/** A version of a rule; `pending` ones wait for a second person. */
export interface RuleVersion {
  id?: string;
  revision: number;
  state: "in_force" | "former" | "pending" | "rejected" | "withdrawn";
  at: string;
  by: string | null;
  display_name: string | null;
  reason: string | null;
  approved_by?: string | null;
  approved_by_name?: string | null;
  rolled_back_to: number | null;
  changed: { key: string }[] | null;
  /** Null: the rule would be deleted. */
  rule: Rule | null;
  end?: { by: string; display_name: string | null; reason: string | null } | null;
}

/** What came of a change of a rule; nothing for one that is gone. */
export type RuleDone = { id: string; revision: number; state?: string; warnings?: string[] } | undefined;

/** The evaluation (综合评价) of a period. A rate over nothing is null. */
export interface Kpi {
  from: string;
  to: string;
  by: string;
  total: Figures;
  groups: { key: string; indicators: Figures }[];
  devices: { online_rate: number | null; by_kind: Figures };
  alarm_load: {
    figures: Figures;
    announced: number;
    /** From when on: the beginning of the period, or of the hub where that was later. */
    since: string;
    days: number;
    enough_data: boolean;
    /** From being told to the first acknowledgement. */
    ack: Partial<Record<Severity, { count: number; p50_ms: number; p90_ms: number }>>;
    top: { rule: string; device: string; alarms: number }[];
  };
  indicators: Indicator[];
}

export type Figures = Record<string, number | null>;

export interface Indicator {
  name: string;
  name_cn: string;
  formula: string;
  source: string;
  certainty: string;
  target: number | null;
}

/** CloudEvents 1.0, as the stream carries them. */
export interface HubEvent<T = unknown> {
  specversion: string;
  id: string;
  source: string;
  type: string;
  subject: string;
  time: string;
  sequence: string;
  data: T;
}

export interface Heartbeat {
  seq: number;
  server_time: string;
  build?: string;
  canary_age_s?: number | null;
  counts?: LiveCounts;
}

/** All that is not normal, whatever a list filters by. */
export interface LiveCounts {
  total: number;
  severity: Record<Severity, number>;
  state: Partial<Record<AlarmState, number>>;
  /** By state, then by severity. */
  matrix?: Partial<Record<AlarmState, Partial<Record<Severity, number>>>>;
  oldest_unacked_at: string | null;
  rate_10min: number;
  flood_since: string | null;
  devices: Record<string, number>;
}

export interface Session {
  name: string;
  display_name?: string;
  role: Role;
  rights: Right[];
  via: "session" | "token";
  must_change_password: boolean;
  locked: boolean;
  lock_after_s: number;
  password_length_min?: number;
  since?: string | null;
  ends_at?: string | null;
  server_time?: string;
  time_zone?: string;
}

export type Right =
  | "read" | "read_events" | "act" | "shelve_critical" | "sign_handover" | "report_steps" | "backtest" | "approve" | "edit" | "admin" | "audit";

export interface Words { zh: string; en: string }

export interface PublicConfig {
  city: { name: string; code: string; time_zone: string };
  build: { version: string; hash: string };
  severities: Record<Severity, Words & { numeral: string }>;
  kinds: Record<string, Words>;
  metrics: Record<string, Words & { unit: string }>;
  map: {
    layers: { name: string; style: "road" | "water" | "boundary" | "grid" | "site"; url: string }[];
    tiles: Record<string, unknown> | null;
    center: [number, number] | null;
    zoom: number | null;
  };
  /** What officers say often; of one kind of device, or of all. */
  quick_phrases: (Words & { kind: string | null })[];
  demo: boolean;
}
