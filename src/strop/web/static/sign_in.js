// Signing in with a key, and out again. The key is sent once and kept nowhere here: the browser keeps a cookie that no
// script can read.
import { notice, session, signIn, signOut } from "./server.js";

const at = (id) => document.getElementById(id);

if (at("sign-in")) {
  at("sign-in").onsubmit = async (event) => {
    event.preventDefault();
    try {
      notice(null);
      await signIn(at("key").value);
      location.replace("/");
    } catch (error) {
      at("key").select();
      notice(error);
    }
  };
  // who came here by a link on a page elsewhere is signed in all the same: that request alone had no cookie
  session().then((name) => name && location.replace("/"), notice);
} else {
  at("sign-out").onclick = () => signOut().then(() => location.reload(), notice);
  at("sign-out").disabled = false; // from now on a click does something
}
