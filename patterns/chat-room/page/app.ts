// Where the page begins: who is it, and in which room?
import { $ } from "./dom.ts";
import { session, signIn, signOut } from "./http.ts";
import { nameOf } from "./names.ts";
import { openRoom } from "./room.ts";
import { address, roomName, showRooms } from "./rooms.ts";

const asked = new URL(location.href).searchParams.get("room") ?? "", room = roomName(asked);
if (room !== asked) history.replaceState(null, "", room ? address(room) : "/");

$("sign-in").addEventListener("submit", async (event) => {
  event.preventDefault();
  const name = $<HTMLInputElement>("name").value.trim(), error = $("door-error");
  error.textContent = "";
  try {
    await signIn(name);
    localStorage.setItem("name", name);
    location.reload();
  } catch (problem) {
    error.textContent = (problem as Error).message;
  }
});
$("go").addEventListener("submit", (event) => {
  event.preventDefault();
  const to = roomName($<HTMLInputElement>("go-room").value);
  if (to) location.assign(address(to));
});
$("sign-out").addEventListener("click", async () => {
  await signOut();
  sessionStorage.clear();
  localStorage.clear(); // who comes next to this browser need not know where one was
  location.reload();
});
$("again").addEventListener("click", () => location.reload());

function door(why?: string) {
  $("house").hidden = true;
  $("door").hidden = false;
  if (why) $("door-why").textContent = why;
  const name = $<HTMLInputElement>("name");
  name.value = localStorage.getItem("name") ?? "";
  name.focus();
}

try {
  const signedIn = await session();
  if (!signedIn) door();
  else {
    const { person } = signedIn;
    $("me").append(nameOf(person));
    $("house").hidden = false;
    $("house").classList.toggle("in-room", Boolean(room));
    $("lobby").hidden = Boolean(room);
    if (room) openRoom(room, person, door);
    showRooms(person, room);
  }
} catch {
  $("nobody").hidden = false;
}
