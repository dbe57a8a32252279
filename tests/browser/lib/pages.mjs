// Finds the pages: from each role's navigation on, along the links, one or a few of each kind.
import { drain } from "./browser.mjs";

/** Of each kind of page so many are looked at: their contents differ, their making does not. */
const PER_KIND = 2;
/** A bound for a walk that goes astray; far more than any role has. */
const PAGES_MAX = 120;
/** Doors and ways that no walk along links should take, or that everybody should take. */
const NEVER = /^\/(logout|assets)\b/;
const DOWNLOAD = /\/csaf$|\.(csv|json|txt|pdf|pem)$/;
/** What links lead nobody to: the door, a page that is not there, and one that is not allowed. */
const UNLINKED = { niemand: ["/login", "/w/0000", "/empfehlung/0000"], Verwaltung: ["/vorfaelle"], Analyse: ["/gibt-es-nicht"] };

/** `/vorfall/TC-2026-000412?x` and `/vorfall/TC-2026-000413` are of one kind. */
export function kindOf(path) {
  return path
    .replace(/[?#].*$/, "")
    .replace(/(ereignis|raster)\/\d+/, "$1/*")
    .replace(/[0-9A-Z]{26}|TC-[0-9-]+|WID-[A-Z0-9-]+/g, "*")
    .replace(/^\/(regel|kennzahl|w|empfehlung)\/[^/.]+/, "/$1/*");
}

/** Whether a page is meant to be refused. */
export const refused = (role, path) => (UNLINKED[role] ?? []).includes(path) && path !== "/login";

/**
 * Walks: `visit({ role, context, path, kind })` for each page, which returns the links that it found there (`links`). As
 * many pages at a time as there are processors. Returns the kinds by role.
 */
export async function walk(house, people, visit) {
  const seen = new Map(people.map(({ role }) => [role, new Map()]));
  const queue = [];
  const offer = (person, paths) => {
    for (const path of paths) {
      const kinds = seen.get(person.role);
      const kind = kindOf(path);
      const times = kinds.get(kind) ?? new Set();
      // A search is another page with each query, and one of them is enough.
      const key = path.replace(/[?#].*$/, "");
      if (NEVER.test(path) || times.has(key) || times.size >= PER_KIND || kinds.size >= PAGES_MAX) continue;
      kinds.set(kind, times.add(key));
      queue.push({ ...person, path, kind });
    }
  };
  for (const person of people) offer(person, [...(person.role === "niemand" ? [] : ["/"]), ...(UNLINKED[person.role] ?? [])]);
  await drain(queue, async (stop) => {
    // A download is no page: it is asked for as a browser would, and only must not fail.
    if (DOWNLOAD.test(stop.kind)) {
      const answer = await stop.context.request.get(house.base + stop.path);
      if (!answer.ok()) house.problem(`${stop.role} ${stop.path}`, `download: status ${answer.status()}`);
      return;
    }
    try {
      offer(stop, await visit(stop));
    } catch (error) {
      house.problem(`${stop.role} ${stop.path}`, error.message.split("\n")[0]);
    }
  });
  return seen;
}

/** The links of a page of ours, the frame's first: navigation, one's own account, the components. */
export async function links(page) {
  const all = await page.$$eval("nav a[href^='/'], header a[href^='/'], footer.foot a[href^='/'], main a[href^='/']", (all) => [...new Set(all.map((a) => a.getAttribute("href")))]);
  // What the components lead to are examples, and what a mail leads to is its reader's: neither is for everybody.
  const own = /^\/(bausteine|postfach)(?=\/|$)/.exec(new URL(page.url()).pathname)?.[0];
  return own ? all.filter((path) => path.startsWith(own)) : all;
}
