import { error } from "@sveltejs/kit";

const INDEX = "README";
const pages = import.meta.glob<{ title: string; html: string }>("../../../../../docs/**/*.md", { import: "default" });

export async function load({ params }: { params: { page: string } }): Promise<{
    page: string;
    title: string;
    html: string;
}> {
    const page = params.page || INDEX;
    const read = pages[`../../../../../docs/${page}.md`];
    if (!read) error(404, "There is no such page");
    return { page, ...(await read()) };
}
