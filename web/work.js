// Looks for the number that makes the hash of stamp, address and number begin with enough zero bits, and sends the form
// with it. Where a browser cannot (crypto.subtle wants https), the button on the page does it after a wait.
(async () => {
	const form = document.getElementById("work");
	if (!form || !window.crypto || !crypto.subtle) return;
	const bits = Number(form.dataset.bits), text = new TextEncoder();
	const head = form.elements.stamp.value + "\n" + form.dataset.address + "\n";
	const zeros = (sum) => {
		let n = 0;
		for (const b of sum) {
			n += Math.clz32(b) - 24;
			if (b) break;
		}
		return n;
	};
	for (let n = 0; ; n++) {
		const sum = new Uint8Array(await crypto.subtle.digest("SHA-256", text.encode(head + n)));
		if (zeros(sum) >= bits) {
			form.elements.proof.value = n;
			form.submit();
			return;
		}
	}
})();
