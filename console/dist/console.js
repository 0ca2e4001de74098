document.getElementById("console").textContent = "Watershed";
