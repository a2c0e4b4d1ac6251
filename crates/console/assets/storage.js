// What a browser keeps for this address. Where it refuses that, as with cookies blocked, to ask for it throws: then nothing is kept.

class Kept {
  constructor(name) {
    try {
      this.storage = window[name];
      // One may be there that takes nothing.
      this.storage.setItem('bellows-kept', '');
      this.storage.removeItem('bellows-kept');
      this.isKept = true;
    } catch {
      this.isKept = false;
    }
  }

  get(key) {
    return this.isKept ? this.storage.getItem(key) : null;
  }

  set(key, value) {
    if (this.isKept) this.storage.setItem(key, value);
  }

  remove(key) {
    if (this.isKept) this.storage.removeItem(key);
  }
}

/** Of this window, until it is closed. */
export const session = new Kept('sessionStorage');

/** Of all windows. */
export const always = new Kept('localStorage');
