// Says which mail clients may show the HTML otherwise than it is written: a report for people.
// To be given to node on its standard input in the folder with node_modules; the argument is the HTML file.
import { readFileSync } from "node:fs";
import { caniemail } from "caniemail";

const { issues } = caniemail({
	clients: ["gmail.*", "outlook.*", "apple-mail.*", "yahoo.*"],
	html: readFileSync(process.argv[2], "utf8"),
});
for (const [client, found] of issues.errors) {
	console.log(`${client}: ${[...new Set(found.map((issue) => issue.title))].join(", ")}`);
}
