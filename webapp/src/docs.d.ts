/** The list of the documentation, which `docs.ts` makes when the dashboard is built. */
declare module "virtual:docs" {
    const list: { page: string; title: string }[];
    export default list;
}
