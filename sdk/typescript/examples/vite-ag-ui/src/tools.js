/** Tools that this page carries out. The agent has them as tools of the type `client`, and tells the model of them. */
export const tools = {
  set_color({ color }) {
    if (!CSS.supports("color", color)) throw new Error(`not a color: ${color}`);
    document.body.style.background = color;
    return { color };
  },
};
