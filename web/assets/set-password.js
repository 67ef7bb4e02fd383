// Sets a password by the link of an invitation or a reset. The link's token is in the fragment, which
// no server sees; it leaves the address bar at once.
const find = (id) => document.getElementById(id);
const [form, password, again, send, error] = ['form', 'password', 'again', 'send', 'error'].map(find);

let token = takeToken();
addEventListener('hashchange', () => {
  token = takeToken() || token;
  begin();
});
begin();

function takeToken() {
  const given = new URLSearchParams(location.hash.slice(1)).get('token') ?? '';
  if (given) history.replaceState(null, '', location.pathname);
  return given;
}

function begin() {
  form.hidden = !token;
  find('no-link').hidden = Boolean(token);
  find('done').hidden = true;
  if (token) password.focus();
}

find('show').addEventListener('change', (event) => {
  password.type = again.type = event.target.checked ? 'text' : 'password';
});

form.addEventListener('submit', async (event) => {
  event.preventDefault();
  refuse('');
  if (!password.value) return refuse('Type a new password.', password);
  if (password.value !== again.value) return refuse('The two passwords differ. Type the same one twice.', again);
  send.disabled = true;
  send.textContent = 'Setting it…';
  try {
    const problem = await confirm(token, password.value);
    if (problem) return refuse(explain(problem), problem.field === 'new_password' ? password : undefined);
    token = '';
    form.reset();
    form.hidden = true;
    find('done').hidden = false;
    find('done').focus();
  } catch {
    refuse('The platform cannot be reached. Check the connection and try again.');
  } finally {
    send.disabled = false;
    send.textContent = 'Set password';
  }
});

// confirm returns what is wrong (RFC 9457), or nothing.
async function confirm(token, newPassword) {
  const answer = await fetch('/api/v1/auth/password-reset/confirm', {
    method: 'POST',
    headers: { 'Content-Type': 'application/json', Accept: 'application/json' },
    body: JSON.stringify({ token, new_password: newPassword }),
  });
  if (answer.ok) return undefined;
  return answer.json().catch(() => ({ status: answer.status }));
}

function explain(problem) {
  if (problem.field === 'new_password' && problem.detail) return `The password ${problem.detail}.`;
  switch (problem.code) {
    case 'unauthenticated':
      return 'This link is not valid, or was used already, or is too old. Ask for a new one.';
    case 'rate_limited':
      return `Too many people do this at once. Try again in ${problem.retry_after || 10} seconds.`;
    default:
      return `That did not work${problem.request_id ? ` (request ${problem.request_id})` : ''}. Try again in a moment.`;
  }
}

// refuse shows an error beside the form and moves to where it is mended.
function refuse(text, field) {
  error.textContent = text;
  error.hidden = !text;
  for (const input of [password, again]) {
    input.toggleAttribute('aria-invalid', false);
    if (input === field) input.setAttribute('aria-invalid', 'true');
  }
  if (text) (field ?? error).focus();
}
